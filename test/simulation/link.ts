/**
 * One stream between an agent and a server process. Each direction keeps its order;
 * what is under way when it is cut is lost. The two sides may learn of a cut at
 * different times.
 */
import type { Hello, ServerMessage, UpdateProgress } from "../../gen/rollcall/v1/agent_pb.js";
import type { HostId } from "../../server/domain/ids.ts";
import type { Dice } from "./dice.ts";
import { ServerSession } from "./server-session.ts";
import type { ServerProcess } from "./server-process.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** The agent's end. */
export interface LinkListener {
  received(link: Link, message: ServerMessage): void;
  lost(link: Link): void;
}

export class Link {
  readonly #time: VirtualTime;
  readonly #dice: Dice;
  readonly #agent: LinkListener;
  readonly #server: ServerProcess;
  #session: ServerSession | undefined;
  #isOpenForAgent = true;
  #isOpenForServer = true;
  #toServerFreeAtMs = 0;
  #toAgentFreeAtMs = 0;
  #stalledUntilMs = 0;

  constructor(time: VirtualTime, dice: Dice, agent: LinkListener, server: ServerProcess) {
    this.#time = time;
    this.#dice = dice;
    this.#agent = agent;
    this.#server = server;
  }

  get isOpen(): boolean {
    return this.#isOpenForAgent;
  }

  get server(): ServerProcess {
    return this.#server;
  }

  /** Sends the first message. A server that is stopped shakes no hands, so it never gets one. */
  open(hello: Hello, hostId: HostId): void {
    const canShakeHands = (): boolean => !this.#server.isStopped;
    this.#toServer(canShakeHands, () => {
      this.#session = new ServerSession(this.#server, this, hostId, hello.instanceId);
      this.#session.serve(hello);
    });
  }

  report(progress: UpdateProgress): void {
    this.#toServer(
      () => true,
      () => this.#session?.heard(progress),
    );
  }

  /** The server's message to the agent. False once its side has ended. */
  toAgent(message: ServerMessage): boolean {
    if (!this.#isOpenForServer) return false;
    this.#whenAtAgent(() => {
      if (this.#isOpenForAgent) this.#agent.received(this, message);
    });
    return true;
  }

  /** Delays everything that is sent from now on. */
  stall(forMs: number): void {
    this.#stalledUntilMs = this.#time.nowMs + forMs;
  }

  /** The agent's side ends; the server learns of it after this long. */
  cutByAgent(serverLearnsAfterMs: number): void {
    if (!this.#isOpenForAgent) return;
    this.#isOpenForAgent = false;
    this.#time.after(serverLearnsAfterMs, () => this.#server.run(() => this.#endForServer()));
    this.#agent.lost(this);
  }

  /** The server's side ends; the agent learns of it after what was sent before. */
  cutByServer(): void {
    if (!this.#isOpenForServer) return;
    this.#endForServer();
    this.#whenAtAgent(() => this.#endForAgent());
  }

  /** The connection breaks under both. */
  cut(): void {
    this.#time.after(this.#noticeMs(), () => this.#endForAgent());
    this.#time.after(this.#noticeMs(), () => this.#server.run(() => this.#endForServer()));
    this.#stalledUntilMs = Number.POSITIVE_INFINITY;
  }

  #noticeMs(): number {
    return this.#dice.chance(0.6) ? this.#dice.whole(0, 200) : this.#dice.whole(1_000, 30_000);
  }

  #endForAgent(): void {
    if (!this.#isOpenForAgent) return;
    this.#isOpenForAgent = false;
    this.#agent.lost(this);
  }

  #endForServer(): void {
    this.#isOpenForServer = false;
    this.#session?.ended();
  }

  #toServer(isTaken: () => boolean, work: () => void): void {
    const atMs = Math.max(this.#toServerFreeAtMs, this.#arrivalMs());
    this.#toServerFreeAtMs = atMs;
    if (!Number.isFinite(atMs)) return;
    this.#time.after(atMs - this.#time.nowMs, () => {
      if (this.#isOpenForServer && this.#isOpenForAgent && isTaken()) this.#server.run(work);
    });
  }

  #whenAtAgent(work: () => void): void {
    const atMs = Math.max(this.#toAgentFreeAtMs, this.#arrivalMs());
    this.#toAgentFreeAtMs = atMs;
    if (Number.isFinite(atMs)) this.#time.after(atMs - this.#time.nowMs, work);
  }

  #arrivalMs(): number {
    const latencyMs = this.#dice.chance(0.05) ? this.#dice.whole(200, 4_000) : this.#dice.whole(1, 60);
    return Math.max(this.#time.nowMs, this.#stalledUntilMs) + latencyMs;
  }
}
