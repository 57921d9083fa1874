/**
 * Applies events to stored jobs and runs the effects. The order is always: lock the
 * row, reduce, store with its audit event, commit the transaction, then send. What
 * gets lost between storing and sending is made up for by the host's next Hello or,
 * failing that, by the deadline.
 */
import type { AuditAction } from "../domain/audit-event.ts";
import type { SessionEpoch } from "../domain/ids.ts";
import type { Job } from "../domain/job.ts";
import type { JobEvent } from "../domain/job-state.ts";
import { auditActionOf, isLegal, reduceJob, type JobEffect } from "../domain/reduce-job.ts";
import type { HostMailboxes } from "./host-mailboxes.ts";
import type { ChangeSink, ReachPoint, UpdateStore, UpdateTransaction } from "./ports.ts";
import { cancelUpdate, commandUpdate, commitUpdate } from "./server-messages.ts";

/** Who or what brought an event about, for the audit log. */
export interface Cause {
  readonly actor: string;
  readonly cause: string;
}

/** A job after an event, and what is left to do. */
export interface AppliedEvent {
  readonly job: Job;
  readonly effects: readonly JobEffect[];
  readonly isChanged: boolean;
  /** This event made an artifact quarantined: what may be done with other hosts changed too. */
  readonly hasQuarantined?: boolean;
}

/** What the interpreter works with. */
export interface InterpreterParts {
  readonly store: UpdateStore;
  readonly mailboxes: HostMailboxes;
  readonly changes: ChangeSink;
  readonly reachPoint: ReachPoint;
}

/** Applies one event to a job whose row this transaction has locked. */
export async function applyJobEvent(
  tx: UpdateTransaction,
  job: Job,
  event: JobEvent,
  cause: Cause,
): Promise<AppliedEvent> {
  const step = reduceJob(job.state, event);
  if (step.state === job.state && !step.isProgress) return { job, effects: step.effects, isChanged: false };
  const stored = await tx.saveJobState(job.id, step.state, step.isProgress);
  const action = auditActionOf(step.state);
  if (action !== undefined) await writeJobAudit(tx, stored, action, cause);
  if ("reason" in stored.state) {
    await tx.raiseAlert({ kind: "update_failed", hostId: job.hostId, jobId: job.id, reason: stored.state.reason });
  }
  const hasQuarantined = stored.state.name === "rolled_back" && (await countRollback(tx, stored));
  return { job: stored, effects: step.effects, isChanged: true, hasQuarantined };
}

/** True when this rollback is the one that quarantines the artifact. */
async function countRollback(tx: UpdateTransaction, job: Job): Promise<boolean> {
  const quarantine = await tx.noteRollback(job.id);
  if (quarantine === undefined) return false;
  const { sha256, hosts } = quarantine;
  await tx.writeAuditEvent({
    actor: "rollcall",
    action: "release.quarantined",
    hostId: job.hostId,
    jobId: job.id,
    fleetUpdateId: job.fleetUpdateId,
    cause: `it rolled back on ${hosts === 1 ? "one host" : `${hosts} hosts`}`,
    details: { package: job.package, version: job.toVersion, sha256, hosts },
  });
  return true;
}

/** Writes what happened to a job into the audit log. */
export async function writeJobAudit(tx: UpdateTransaction, job: Job, action: AuditAction, cause: Cause): Promise<void> {
  const { state } = job;
  await tx.writeAuditEvent({
    ...cause,
    action,
    hostId: job.hostId,
    jobId: job.id,
    fleetUpdateId: job.fleetUpdateId,
    details: {
      from_version: job.fromVersion,
      to_version: job.toVersion,
      ...("reason" in state ? { reason: state.reason, ...state.details } : {}),
    },
  });
}

/**
 * Tells of a stored step, then runs its effects. Never throws for a host that is away.
 *
 * *Shape*: `epoch` is that of the session whose word the event was, where it was one's.
 */
export async function settleJobEvent(
  parts: InterpreterParts,
  applied: AppliedEvent,
  epoch?: SessionEpoch,
): Promise<void> {
  announceJobEvent(parts, applied);
  await runJobEffects(parts, applied, epoch);
}

/** Tells of a stored step. */
export function announceJobEvent(parts: InterpreterParts, { job, isChanged, hasQuarantined }: AppliedEvent): void {
  if (!isChanged) return;
  parts.reachPoint(`stored:${job.state.name}`);
  parts.changes.jobChanged(job);
  // Its agent said so itself, or is told by an effect.
  if (job.endedAt !== null) parts.mailboxes.forgetJob(job.hostId, job.id);
  if (hasQuarantined === true) parts.changes.everythingChanged();
}

/** Does what is left to do after a step that was told of. Never throws for a host that is away. */
export async function runJobEffects(
  parts: InterpreterParts,
  applied: AppliedEvent,
  epoch: SessionEpoch | undefined,
): Promise<void> {
  const { job } = applied;
  for (const effect of applied.effects) await runEffect(parts, job, effect, epoch);
  if (applied.isChanged) parts.reachPoint(`sent:${job.state.name}`);
}

async function runEffect(
  parts: InterpreterParts,
  job: Job,
  effect: JobEffect,
  epoch: SessionEpoch | undefined,
): Promise<void> {
  switch (effect.kind) {
    case "send_command":
      parts.mailboxes.send(job.hostId, commandUpdate(job));
      return;
    case "send_cancel":
      parts.mailboxes.send(job.hostId, cancelUpdate(job.id));
      return;
    case "send_commit":
      if (epoch !== undefined) parts.mailboxes.sendOn(job.hostId, epoch, commitUpdate(job, epoch));
      return;
    case "grant_commit":
      if (epoch !== undefined) await grantCommit(parts, job, epoch);
      return;
  }
}

/**
 * Commit and cancel are one compare-and-swap on the row: whoever locks it first while
 * it is staged wins. The commit is for the session that said `staged`; once another
 * took its place, that one says so again and is granted its own.
 */
async function grantCommit(parts: InterpreterParts, staged: Job, epoch: SessionEpoch): Promise<void> {
  const applied = await parts.store.transactionOf(staged.hostId, async (tx) => {
    if (!(await tx.holdSession(staged.hostId, epoch))) return undefined;
    const job = await tx.lockJob(staged.id);
    if (job === undefined || !isLegal(job.state.name, "committed")) return undefined;
    return applyJobEvent(tx, job, { name: "committed" }, { actor: "rollcall", cause: "the host staged the release" });
  });
  if (applied !== undefined) await settleJobEvent(parts, applied, epoch);
}
