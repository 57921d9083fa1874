import type { ServerMessage } from "../../gen/rollcall/v1/agent_pb.js";
import type { HostId, SessionEpoch } from "../domain/ids.ts";
import type { StreamSession } from "./session.ts";
import { StreamEndedError } from "./stream-ended-error.ts";

/** What the rest of the server may ask of the live sessions. */
export interface LiveSessions {
  readonly size: number;
  get(hostId: HostId): StreamSession | undefined;
  /** False when the host has no session here, or its queue is full. */
  send(hostId: HostId, message: ServerMessage | Buffer): boolean;
  [Symbol.iterator](): IterableIterator<StreamSession>;
}

/** The live sessions of this server: one a host, the one with the highest epoch. */
export class SessionRegistry implements LiveSessions {
  readonly #sessions = new Map<HostId, StreamSession>();

  get size(): number {
    return this.#sessions.size;
  }

  get(hostId: HostId): StreamSession | undefined {
    return this.#sessions.get(hostId);
  }

  send(hostId: HostId, message: ServerMessage | Buffer): boolean {
    return this.#sessions.get(hostId)?.send(message) ?? false;
  }

  [Symbol.iterator](): IterableIterator<StreamSession> {
    return this.#sessions.values();
  }

  /**
   * Makes an opened session its host's live one until it ends, and ends the older of two.
   *
   * *Shape*: false when `session` was the older one, or had ended already.
   */
  place(session: StreamSession): boolean {
    if (session.ended.aborted) return false;
    const current = this.#sessions.get(session.hostId);
    if (current !== undefined && (current.epoch ?? 0n) > (session.epoch ?? 0n)) {
      session.end(replaced());
      return false;
    }
    this.#sessions.set(session.hostId, session);
    session.ended.addEventListener("abort", () => this.#forget(session), { once: true });
    current?.end(replaced());
    return true;
  }

  /** Ends the host's session if it is this one or an older one. */
  endUpTo(hostId: HostId, epoch: SessionEpoch): void {
    const session = this.#sessions.get(hostId);
    if (session?.epoch !== undefined && session.epoch <= epoch) session.end(replaced());
  }

  #forget(session: StreamSession): void {
    if (this.#sessions.get(session.hostId) === session) this.#sessions.delete(session.hostId);
  }
}

function replaced(): StreamEndedError {
  return new StreamEndedError("aborted", "replaced by a newer session of this host");
}
