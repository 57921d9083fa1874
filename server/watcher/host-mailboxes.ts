/**
 * What is sent to hosts. A session is *opening* while its Hello is being stored:
 * what is meant for its host meanwhile waits until its Welcome is out, so that
 * nothing falls between the row that the Hello read and the stream. Two sessions of
 * one host may overlap for a moment; only the one with the higher number stays.
 *
 * A live session remembers the job that it was commanded, so that a command is sent
 * on it once, however often and by whichever server it is asked for, and so that
 * somebody can look whether that job was called off (JobCourier).
 */
import type { ServerMessage } from "../../gen/rollcall/v1/agent_pb.js";
import type { HostId, JobId, SessionEpoch } from "../domain/ids.ts";
import type { AgentSession } from "../stream/ports.ts";

interface LiveSession {
  readonly session: AgentSession;
  readonly epoch: SessionEpoch;
  /** The job that its agent works on, as far as is known here. */
  jobId: string | undefined;
}

interface Mailbox {
  live: LiveSession | undefined;
  readonly opening: Map<AgentSession, ServerMessage[]>;
}

/** A live session, and the job that it was commanded. */
export interface CommandedSession {
  readonly hostId: HostId;
  readonly jobId: JobId;
}

export class HostMailboxes {
  readonly #mailboxes = new Map<HostId, Mailbox>();
  readonly #elsewhere: (hostId: HostId) => void;

  /** `elsewhere` is told of hosts that something is meant for and that have no session here. */
  constructor(elsewhere: (hostId: HostId) => void = () => undefined) {
    this.#elsewhere = elsewhere;
  }

  /** Hosts with a session, live or opening. */
  get size(): number {
    return this.#mailboxes.size;
  }

  /** True for a host with a session, live or opening. */
  has(hostId: HostId): boolean {
    return this.#mailboxes.has(hostId);
  }

  /** The live sessions that were commanded a job. */
  listCommanded(): readonly CommandedSession[] {
    return [...this.#mailboxes].flatMap(([hostId, { live }]) =>
      live?.jobId === undefined ? [] : [{ hostId, jobId: live.jobId as JobId }],
    );
  }

  /** A Hello has arrived on this session and is about to be stored. */
  beginOpening(session: AgentSession): void {
    const mailbox = this.#mailboxes.get(session.hostId) ?? { live: undefined, opening: new Map() };
    mailbox.opening.set(session, []);
    this.#mailboxes.set(session.hostId, mailbox);
  }

  /**
   * The session's Welcome is out: sends what waited, and from now on whatever is meant for its host.
   * `activeJobId` is the open job that its agent works on already.
   */
  completeOpening(session: AgentSession, epoch: SessionEpoch, activeJobId?: string): void {
    const mailbox = this.#mailboxes.get(session.hostId);
    const waiting = mailbox?.opening.get(session);
    if (mailbox === undefined || waiting === undefined) return;
    mailbox.opening.delete(session);
    const opened: LiveSession = { session, epoch, jobId: activeJobId };
    if (mailbox.live === undefined || mailbox.live.epoch < epoch) mailbox.live = opened;
    for (const message of waiting) sendOnce(opened, message);
  }

  /** Forgets a session that ended or could not open. */
  remove(session: AgentSession): void {
    const mailbox = this.#mailboxes.get(session.hostId);
    if (mailbox === undefined) return;
    mailbox.opening.delete(session);
    if (mailbox.live?.session === session) mailbox.live = undefined;
    if (mailbox.live === undefined && mailbox.opening.size === 0) this.#mailboxes.delete(session.hostId);
  }

  /** Sends to the host, or lets the message wait while a session opens. Without either, whoever has its session is told. */
  send(hostId: HostId, message: ServerMessage): void {
    const mailbox = this.#mailboxes.get(hostId);
    if (mailbox === undefined) {
      this.#elsewhere(hostId);
      return;
    }
    if (mailbox.live !== undefined) sendOnce(mailbox.live, message);
    for (const waiting of mailbox.opening.values()) waiting.push(message);
  }

  /** Sends on this very session, or not at all. */
  sendOn(hostId: HostId, epoch: SessionEpoch, message: ServerMessage): void {
    const live = this.#mailboxes.get(hostId)?.live;
    if (live?.epoch === epoch) live.session.send(message);
  }

  /** The job has ended, and nobody need be told. */
  forgetJob(hostId: HostId, jobId: string): void {
    const live = this.#mailboxes.get(hostId)?.live;
    if (live?.jobId === jobId) live.jobId = undefined;
  }
}

function sendOnce(live: LiveSession, message: ServerMessage): void {
  const { message: kind } = message;
  if (kind.case === "commandUpdate") {
    if (live.jobId === kind.value.jobId) return;
    live.jobId = kind.value.jobId;
  }
  if (kind.case === "cancelUpdate" && live.jobId === kind.value.jobId) live.jobId = undefined;
  live.session.send(message);
}
