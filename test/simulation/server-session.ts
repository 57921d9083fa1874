/** The server's end of a stream, from Hello to end: what the real listener does, without HTTP/2. */
import type { Hello, ServerMessage, UpdateProgress } from "../../gen/rollcall/v1/agent_pb.js";
import type { HostId, SessionEpoch } from "../../server/domain/ids.ts";
import type { AgentSession, SessionHandler } from "../../server/stream/ports.ts";

/** The way to the agent. */
export interface SessionStream {
  toAgent(message: ServerMessage): boolean;
  cutByServer(): void;
}

/** The process that a session is of. */
export interface SessionOwner {
  readonly isDead: boolean;
  readonly watcher: SessionHandler;
  /** The live session of each host. */
  readonly registry: Map<HostId, ServerSession>;
  readonly sessions: Set<ServerSession>;
  run(work: () => void): void;
}

export class ServerSession implements AgentSession {
  readonly hostId: HostId;
  readonly instanceId: string;
  readonly credentialGeneration = 1;
  readonly peer = "127.0.0.1:1";
  readonly #server: SessionOwner;
  readonly #link: SessionStream;
  readonly #waiting: UpdateProgress[] = [];
  #epoch: SessionEpoch | undefined;
  #hasEnded = false;
  #changed = Promise.withResolvers<void>();

  constructor(server: SessionOwner, link: SessionStream, hostId: HostId, instanceId: string) {
    this.#server = server;
    this.#link = link;
    this.hostId = hostId;
    this.instanceId = instanceId;
  }

  send(message: ServerMessage | Buffer): boolean {
    if (this.#epoch === undefined || this.#hasEnded || this.#server.isDead) return false;
    if (!Buffer.isBuffer(message)) this.#server.run(() => this.#link.toAgent(message));
    return true;
  }

  end(_error: Error): void {
    if (!this.#server.isDead) this.#link.cutByServer();
  }

  /** One message of the agent. */
  heard(progress: UpdateProgress): void {
    this.#waiting.push(progress);
    this.#changed.resolve();
  }

  /** The stream is over. */
  ended(): void {
    this.#hasEnded = true;
    this.#changed.resolve();
  }

  /** Its process died: the connection is reset, and nobody is left to close the session. */
  cutByDeath(): void {
    this.#link.cutByServer();
  }

  serve(hello: Hello): void {
    this.#server.sessions.add(this);
    void this.#run(hello).finally(() => this.#server.sessions.delete(this));
  }

  async #run(hello: Hello): Promise<void> {
    const { watcher, registry } = this.#server;
    const opened = await watcher.opened(hello, this, registry.get(this.hostId)).catch((error: Error) => {
      this.end(error);
      return undefined;
    });
    if (opened === undefined) return;
    try {
      this.#epoch = opened.epoch;
      if (!this.#place(opened.epoch)) return;
      for (const message of opened.messages) this.send(message);
      await opened.afterMessages?.();
      for (let said = await this.#next(); said !== undefined; said = await this.#next()) {
        await watcher.progressed(said, this, opened.epoch);
      }
    } catch (error) {
      this.end(error as Error);
    } finally {
      if (registry.get(this.hostId) === this) registry.delete(this.hostId);
      this.end(new Error("the stream is over"));
      await watcher.closed(this, opened.epoch).catch(() => undefined);
    }
  }

  /** Of two sessions of a host the one with the higher number stays. */
  #place(epoch: SessionEpoch): boolean {
    if (this.#hasEnded) return false;
    const current = this.#server.registry.get(this.hostId);
    if (current !== undefined && (current.#epoch ?? 0n) > epoch) return false;
    this.#server.registry.set(this.hostId, this);
    current?.end(new Error("replaced"));
    return true;
  }

  async #next(): Promise<UpdateProgress | undefined> {
    while (!this.#hasEnded && this.#waiting.length === 0) {
      await this.#changed.promise;
      this.#changed = Promise.withResolvers();
    }
    return this.#hasEnded ? undefined : this.#waiting.shift();
  }
}
