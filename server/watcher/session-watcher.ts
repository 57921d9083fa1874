/**
 * Turns what agents say into changes of hosts and jobs. Everything an agent says
 * counts only for its own host and only while its session is the newest.
 */
import type { Hello, ServerMessage, UpdateProgress } from "../../gen/rollcall/v1/agent_pb.js";
import { UpdatePhase } from "../../gen/rollcall/v1/agent_pb.js";
import type { Clock } from "../domain/clock.ts";
import type { Durations } from "../domain/durations.ts";
import { RefusedError, UnavailableError } from "../domain/errors.ts";
import { isDuplicated, recentReplacements, type Replacement } from "../domain/identity-duplication.ts";
import type { HostId, SessionEpoch } from "../domain/ids.ts";
import type { Job } from "../domain/job.ts";
import type { JobEvent } from "../domain/job-state.ts";
import { meetLostJob, meetOpenJob, type HelloReport } from "../domain/meet-hello.ts";
import { isLegal } from "../domain/reduce-job.ts";
import type { AgentSession, OpenedSession, SessionHandler } from "../stream/ports.ts";
import { readJobLog } from "../wire/job-log.ts";
import { fromWireDetails, fromWireReason, toHelloReport } from "../wire/job-words.ts";
import {
  announceJobEvent,
  applyJobEvent,
  runJobEffects,
  settleJobEvent,
  type AppliedEvent,
  type InterpreterParts,
} from "./job-interpreter.ts";
import type { OpenJobHosts } from "./open-job-hosts.ts";
import type { Log, OpenedFacts, UpdateTransaction } from "./ports.ts";
import { cancelUpdate, welcome } from "./server-messages.ts";

/** This many messages about jobs that are not the host's own end its stream. */
const FOREIGN_JOBS_ALLOWED = 2;
/** How long a duplicated identity's newcomer is told to wait. */
const DUPLICATE_RETRY_AFTER_MS = 60_000;

/** A session that took over from one that another server holds. */
export interface Takeover {
  readonly hostId: HostId;
  readonly epoch: SessionEpoch;
  readonly fromInstanceId: string;
  readonly toInstanceId: string;
}

/** What the watcher works with. */
export interface SessionWatcherParts extends InterpreterParts {
  /** Told of sessions that took over from one of another server, which ends it. */
  readonly tookOver?: (takeover: Takeover) => void;
  readonly openJobs: OpenJobHosts;
  readonly clock: Clock;
  readonly durations: Durations;
  readonly serverVersion: string;
  /** The credential that follows one of this generation. */
  readonly nextCredential: (hostId: HostId, generation: number) => string;
  /** Where agents are to reach this fleet's servers from now on, and whom they are to trust there. */
  readonly access: () => { readonly servers: readonly string[]; readonly authoritiesPem: string };
  readonly log: Log;
}

export class SessionWatcher implements SessionHandler {
  readonly #parts: SessionWatcherParts;
  readonly #replacements = new Map<HostId, readonly Replacement[]>();
  readonly #foreignJobs = new WeakMap<AgentSession, number>();

  constructor(parts: SessionWatcherParts) {
    this.#parts = parts;
  }

  hasOpenJob(hello: Hello, hostId: HostId): boolean {
    return hello.activeJob !== undefined || this.#parts.openJobs.has(hostId);
  }

  async opened(hello: Hello, session: AgentSession, incumbent: AgentSession | undefined): Promise<OpenedSession> {
    if (incumbent !== undefined && this.#isDuplicated(session.hostId, incumbent.instanceId, session.instanceId))
      throw await this.#refuseDuplicate(session);
    const report = toHelloReport(hello);
    const greeting = await this.#greet(hello, report, session);
    const { epoch, applied, activeJobIsOpen } = greeting;
    const { mailboxes, changes } = this.#parts;
    changes.hostChanged(session.hostId);
    // Now: the stream may be gone before anything is sent on it.
    if (applied !== undefined) announceJobEvent(this.#parts, applied);
    this.#tellTakeover(greeting, session);
    return {
      epoch,
      messages: [
        this.#welcome(greeting, session),
        ...(report.activeJob !== undefined && !activeJobIsOpen ? [cancelUpdate(report.activeJob.jobId)] : []),
      ],
      afterMessages: async () => {
        mailboxes.completeOpening(session, epoch, activeJobIsOpen ? report.activeJob?.jobId : undefined);
        if (applied !== undefined) await runJobEffects(this.#parts, applied, epoch);
      },
    };
  }

  async progressed(progress: UpdateProgress, session: AgentSession, epoch: SessionEpoch): Promise<void> {
    const event = toJobEvent(progress);
    if (event === undefined) return;
    const applied = await this.#parts.store.transactionOf(session.hostId, async (tx) => {
      if (!(await tx.holdSession(session.hostId, epoch))) return "void";
      const job = await tx.lockOpenJob(session.hostId);
      if (job?.id !== progress.jobId || !isLegal(job.state.name, event.name)) return "not open";
      return applyJobEvent(tx, job, event, { actor: "host", cause: "the host reported it" });
    });
    if (applied === "void") return session.end(new UnavailableError("This session is no longer its host's newest."));
    if (applied === "not open") return this.#countForeignJob(progress.jobId, session);
    await settleJobEvent(this.#parts, applied, epoch);
  }

  async closed(session: AgentSession, epoch: SessionEpoch): Promise<void> {
    this.#parts.mailboxes.remove(session);
    const closed = await this.#parts.store.transactionOf(session.hostId, (tx) =>
      tx.closeSession(session.hostId, epoch),
    );
    if (closed) this.#parts.changes.hostChanged(session.hostId);
  }

  #welcome(greeting: Greeting, session: AgentSession): ServerMessage {
    const { serverVersion, durations, nextCredential, access } = this.#parts;
    return welcome({
      serverVersion,
      epoch: greeting.epoch,
      heartbeatIntervalMs: durations.heartbeatIntervalMs,
      targetVersion: greeting.targetVersion,
      nextCredential: greeting.isRotationDue
        ? nextCredential(session.hostId, greeting.credentialGeneration)
        : undefined,
      access: { servers: [...access().servers], authoritiesPem: access().authoritiesPem },
    });
  }

  async #greet(hello: Hello, report: HelloReport, session: AgentSession): Promise<Greeting> {
    const { mailboxes, store } = this.#parts;
    mailboxes.beginOpening(session);
    try {
      return await store.transactionOf(session.hostId, (tx) =>
        greetHost(tx, hello, report, session, (replaced) =>
          this.#isDuplicated(session.hostId, replaced, session.instanceId),
        ),
      );
    } catch (error) {
      mailboxes.remove(session);
      throw error instanceof DuplicatedError ? await this.#refuseDuplicate(session) : error;
    }
  }

  /** Another server's session took over from one that was open here. */
  replacedElsewhere({ hostId, fromInstanceId, toInstanceId }: Takeover): void {
    this.#isDuplicated(hostId, fromInstanceId, toInstanceId);
  }

  #tellTakeover({ epoch, replacedElsewhere }: Greeting, { hostId, instanceId }: AgentSession): void {
    if (replacedElsewhere === undefined) return;
    this.#parts.tookOver?.({ hostId, epoch, fromInstanceId: replacedElsewhere, toInstanceId: instanceId });
  }

  /** Notes a replacement. True when it is one too many: then it does not come about. */
  #isDuplicated(hostId: HostId, fromInstanceId: string, toInstanceId: string): boolean {
    if (fromInstanceId === toInstanceId) return false;
    const nowMs = this.#parts.clock.monotonicMs();
    const recent = recentReplacements(this.#replacements.get(hostId) ?? [], nowMs);
    const replacements = [...recent, { fromInstanceId, toInstanceId, atMs: nowMs }];
    if (isDuplicated(replacements)) return true;
    this.#replacements.set(hostId, replacements);
    return false;
  }

  /** Marks the host. The refusal of whoever came last. */
  async #refuseDuplicate(session: AgentSession): Promise<RefusedError> {
    this.#parts.log("warn", "identity duplicated", { host_id: session.hostId, peer: session.peer });
    await this.#parts.store.transaction(async (tx) => {
      await tx.markIdentityDuplicated(session.hostId);
      await tx.raiseAlert({
        kind: "duplicate_identity",
        hostId: session.hostId,
        reason: "two machines use one credential",
      });
    });
    this.#parts.changes.hostChanged(session.hostId);
    return new RefusedError(
      "identity_duplicated",
      "Another machine uses this host's credential. Enrol this machine again to give it one of its own.",
      { host_id: session.hostId },
      DUPLICATE_RETRY_AFTER_MS,
    );
  }

  /** A host's own closed jobs are late news; a job of another host is none of its business. */
  async #countForeignJob(jobId: string, session: AgentSession): Promise<void> {
    if (await this.#parts.store.isOwnJob(session.hostId, jobId)) return;
    const count = (this.#foreignJobs.get(session) ?? 0) + 1;
    this.#foreignJobs.set(session, count);
    this.#parts.log("warn", "progress of a foreign job", { host_id: session.hostId, job_id: jobId, count });
    if (count <= FOREIGN_JOBS_ALLOWED) return;
    session.end(
      new RefusedError("foreign_job", "This stream spoke of jobs that are not its host's.", { job_id: jobId }),
    );
  }
}

/** Two machines take this host's session from each other. */
class DuplicatedError extends Error {}

/** With `isRotationDue` also once an update was just confirmed. */
interface Greeting extends OpenedFacts {
  readonly applied: AppliedEvent | undefined;
  readonly activeJobIsOpen: boolean;
}

/** Stores what a Hello says of its host and what it means for the host's job. */
async function greetHost(
  tx: UpdateTransaction,
  hello: Hello,
  report: HelloReport,
  session: AgentSession,
  isDuplicated: (replacedInstanceId: string) => boolean,
): Promise<Greeting> {
  const opened = await tx.openSession({
    hostId: session.hostId,
    instanceId: session.instanceId,
    credentialGeneration: session.credentialGeneration,
    hostname: hello.hostname,
    os: hello.os,
    arch: hello.arch,
    agentVersion: hello.agentVersion,
    installRevision: hello.installRevision,
    packages: hello.packages.map(({ package: name, version }) => ({ package: name, version })),
    sequenceFloor: Number(hello.sequenceFloor),
    keysSequence: Number(hello.keysSequence),
  });
  if (opened === undefined) {
    throw new RefusedError("credential_invalid", "The credential is not valid. Enrol this host again.");
  }
  if (opened.replacedElsewhere !== undefined && isDuplicated(opened.replacedElsewhere)) throw new DuplicatedError();
  await tx.resolveAlerts(session.hostId, [
    "host_offline",
    ...(hello.agentVersion === opened.targetVersion ? (["update_failed"] as const) : []),
  ]);
  const open = await tx.lockOpenJob(session.hostId);
  const job = open ?? (await findLostJob(tx, report, session.hostId));
  const event = job && (open === undefined ? meetLostJob(greeted(job), report) : meetOpenJob(greeted(job), report));
  const activeJobIsOpen = open !== undefined && open.id === report.activeJob?.jobId;
  if (job === undefined || event === undefined) return { ...opened, applied: undefined, activeJobIsOpen };
  const applied = await applyJobEvent(tx, job, event, { actor: "host", cause: "the host said so in its Hello" });
  const lines = applied.job.state.name === "rolled_back" ? readJobLog(hello.lastUpdate?.log) : [];
  if (lines.length > 0) await tx.keepJobLog(job.id, lines);
  const isConfirmed = applied.job.state.name === "succeeded";
  return {
    ...opened,
    isRotationDue: opened.isRotationDue || isConfirmed,
    applied,
    activeJobIsOpen: activeJobIsOpen && applied.job.endedAt === null,
  };
}

/** The job that failed because its host was silent, when this Hello speaks of it. */
async function findLostJob(tx: UpdateTransaction, report: HelloReport, hostId: HostId): Promise<Job | undefined> {
  if (report.lastUpdate?.outcome.kind !== "rolled_back") return undefined;
  const job = await tx.lockJob(report.lastUpdate.jobId);
  const isLost = job?.hostId === hostId && job.state.name === "failed" && job.state.reason === "agent_lost";
  return isLost ? job : undefined;
}

function greeted(job: Job) {
  return { id: job.id, stateName: job.state.name, fromVersion: job.fromVersion, toVersion: job.toVersion };
}

/** What a progress message means; `undefined` for one that changes nothing. */
function toJobEvent(progress: UpdateProgress): JobEvent | undefined {
  switch (progress.phase) {
    case UpdatePhase.DOWNLOADING: {
      const bytesTotal = Number(progress.bytesTotal);
      return { name: "progressed", bytesDone: Math.min(Number(progress.bytesDone), bytesTotal), bytesTotal };
    }
    case UpdatePhase.STAGED:
      return { name: "staged" };
    case UpdatePhase.FAILED:
      return {
        name: "agent_failed",
        reason: fromWireReason(progress.reason),
        details: fromWireDetails(progress.details),
      };
    default:
      return undefined;
  }
}
