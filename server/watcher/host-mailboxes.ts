/**
 * What is sent to hosts. A session is *opening* while its Hello is being stored:
 * what is meant for its host meanwhile waits until its Welcome is out, so that
 * nothing falls between the row that the Hello read and the stream. Two sessions of
 * one host may overlap for a moment; only the one with the higher number stays.
 */
import type { ServerMessage } from "../../gen/rollcall/v1/agent_pb.js";
import type { HostId, SessionEpoch } from "../domain/ids.ts";
import type { AgentSession } from "../stream/ports.ts";

interface Mailbox {
  live: { readonly session: AgentSession; readonly epoch: SessionEpoch } | undefined;
  readonly opening: Map<AgentSession, ServerMessage[]>;
}

export class HostMailboxes {
  readonly #mailboxes = new Map<HostId, Mailbox>();

  /** Hosts with a session, live or opening. */
  get size(): number {
    return this.#mailboxes.size;
  }

  /** A Hello has arrived on this session and is about to be stored. */
  beginOpening(session: AgentSession): void {
    const mailbox = this.#mailboxes.get(session.hostId) ?? { live: undefined, opening: new Map() };
    mailbox.opening.set(session, []);
    this.#mailboxes.set(session.hostId, mailbox);
  }

  /** The session's Welcome is out: sends what waited, and from now on whatever is meant for its host. */
  completeOpening(session: AgentSession, epoch: SessionEpoch): void {
    const mailbox = this.#mailboxes.get(session.hostId);
    const waiting = mailbox?.opening.get(session);
    if (mailbox === undefined || waiting === undefined) return;
    mailbox.opening.delete(session);
    if (mailbox.live === undefined || mailbox.live.epoch < epoch) mailbox.live = { session, epoch };
    for (const message of waiting) session.send(message);
  }

  /** Forgets a session that ended or could not open. */
  remove(session: AgentSession): void {
    const mailbox = this.#mailboxes.get(session.hostId);
    if (mailbox === undefined) return;
    mailbox.opening.delete(session);
    if (mailbox.live?.session === session) mailbox.live = undefined;
    if (mailbox.live === undefined && mailbox.opening.size === 0) this.#mailboxes.delete(session.hostId);
  }

  /** Sends to the host, or lets the message wait while a session opens. Without either, the next Hello makes up for it. */
  send(hostId: HostId, message: ServerMessage): void {
    const mailbox = this.#mailboxes.get(hostId);
    if (mailbox === undefined) return;
    mailbox.live?.session.send(message);
    for (const waiting of mailbox.opening.values()) waiting.push(message);
  }

  /** Sends on this very session, or not at all. */
  sendOn(hostId: HostId, epoch: SessionEpoch, message: ServerMessage): void {
    const live = this.#mailboxes.get(hostId)?.live;
    if (live?.epoch === epoch) live.session.send(message);
  }
}
