/**
 * The streams this process holds, by host. A host is *opening* while its Hello is
 * being stored: what is sent to it meanwhile waits until its Welcome is out, so
 * that nothing falls between the row that the Hello read and the stream.
 */
import type { ServerMessage } from "../../gen/rollcall/v1/agent_pb.js";
import type { HostId, SessionEpoch } from "../domain/ids.ts";
import type { AgentSession } from "../stream/ports.ts";

/** A message that names the session it is sent on. */
export type MessageFor = (epoch: SessionEpoch) => ServerMessage;

type Entry =
  | { readonly kind: "opening"; readonly session: AgentSession; readonly queued: MessageFor[] }
  | { readonly kind: "live"; readonly session: AgentSession; readonly epoch: SessionEpoch };

export class LiveSessions {
  readonly #entries = new Map<HostId, Entry>();

  get size(): number {
    return this.#entries.size;
  }

  /** A Hello has arrived on this session and is about to be stored. */
  beginOpening(session: AgentSession): void {
    this.#entries.set(session.hostId, { kind: "opening", session, queued: [] });
  }

  /**
   * The Hello is stored. Sends `first`, then what waited.
   *
   * *Shape*: false when a newer session took the host meanwhile; then nothing was sent.
   */
  completeOpening(session: AgentSession, epoch: SessionEpoch, first: readonly ServerMessage[]): boolean {
    const entry = this.#entries.get(session.hostId);
    if (entry?.kind !== "opening" || entry.session !== session) return false;
    this.#entries.set(session.hostId, { kind: "live", session, epoch });
    for (const message of first) session.send(message);
    for (const messageFor of entry.queued) session.send(messageFor(epoch));
    return true;
  }

  /** Forgets a session that ended or could not open; a newer one of the same host stays. */
  remove(session: AgentSession): void {
    if (this.#entries.get(session.hostId)?.session === session) this.#entries.delete(session.hostId);
  }

  /** Sends to the host's session, or queues while it opens. False when there is none: the next Hello makes up for it. */
  send(hostId: HostId, messageFor: MessageFor): boolean {
    const entry = this.#entries.get(hostId);
    if (entry === undefined) return false;
    if (entry.kind === "live") return entry.session.send(messageFor(entry.epoch));
    entry.queued.push(messageFor);
    return true;
  }
}
