/** Real agents, each on a stream of its own, that tell of the progress of their downloads very often. */
import { randomUUID } from "node:crypto";
import { systemClock } from "../../../agent/clock-system.ts";
import { UpdatePhase } from "../../../gen/rollcall/v1/agent_pb.js";
import { FewAtATime } from "../../support/few-at-a-time.ts";
import { ScriptedAgent, validHello, type ScriptedStream } from "../../support/scripted-agent.ts";
import type { ServerChild } from "../../support/server-child.ts";
import { stopwatchMs } from "../stopwatch-clock.ts";

/** Hosts that connect at once: strangers of one address are few on purpose. */
const CONNECTING = 10;
const PAUSE_MS = 20;
const DOWNLOAD_BYTES = 100_000_000;

interface Downloading {
  readonly stream: ScriptedStream;
  readonly jobId: string;
}

export class Storm implements Disposable {
  readonly #owned: DisposableStack;
  readonly #hosts: readonly Downloading[];
  #sent = 0;

  private constructor(owned: DisposableStack, hosts: readonly Downloading[]) {
    this.#owned = owned;
    this.#hosts = hosts;
  }

  /** Enrols so many hosts of this version and starts to update them all. */
  static async gather(server: ServerChild, hosts: number, version: string): Promise<Storm> {
    using owned = new DisposableStack();
    const client = await server.fleet();
    const caPem = await server.caPem();
    const { token } = await client.createEnrollmentToken({ label: "bench", maxUses: hosts });
    const lanes = new FewAtATime(CONNECTING);
    const connectOne = async (index: number) => {
      const hostname = `storm-${String(index).padStart(4, "0")}`;
      const agent = owned.use(new ScriptedAgent({ address: server.agents, caPem }));
      const { credential, hostId } = await agent.enroll({ token, hostname, os: "linux", arch: "x64" });
      agent.credential = credential;
      const { stream } = await agent.hello(validHello({ hostname, agentVersion: version, instanceId: randomUUID() }));
      return { stream, hostId };
    };
    const connected = await Promise.all(
      Array.from({ length: hosts }, (_, index) => lanes.run(() => connectOne(index))),
    );
    await client.startFleetUpdate({
      hostIds: connected.map(({ hostId }) => hostId),
      policy: { maxInFlight: hosts },
    });
    const downloading = await Promise.all(
      connected.map(async ({ stream }) => ({ stream, jobId: await commandedJob(stream) })),
    );
    return new Storm(owned.move(), downloading);
  }

  /** Reports so often for so long, whether the server keeps up or not. */
  async blow(changesPerSecond: number, durationMs: number, signal: AbortSignal): Promise<void> {
    const startedMs = stopwatchMs();
    const sentBefore = this.#sent;
    for (;;) {
      const elapsedMs = stopwatchMs() - startedMs;
      if (elapsedMs >= durationMs) return;
      while (this.#sent - sentBefore < (elapsedMs / 1000) * changesPerSecond) this.#report();
      await systemClock.sleep(PAUSE_MS, signal);
    }
  }

  [Symbol.dispose](): void {
    this.#owned[Symbol.dispose]();
  }

  /** The next host in turn has a little more than before. */
  #report(): void {
    const host = this.#hosts[this.#sent % this.#hosts.length];
    const round = Math.floor(this.#sent / this.#hosts.length) + 1;
    this.#sent += 1;
    host?.stream.sendProgress({
      jobId: host.jobId,
      phase: UpdatePhase.DOWNLOADING,
      bytesDone: BigInt(round * 1_000_000),
      bytesTotal: BigInt(DOWNLOAD_BYTES),
    });
  }
}

async function commandedJob(stream: ScriptedStream): Promise<string> {
  for (;;) {
    const { message } = await stream.next();
    if (message.case === "commandUpdate") return message.value.jobId;
  }
}
