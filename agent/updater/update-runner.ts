/**
 * The update job of one process.
 *
 *     idle → preparing → downloading → staged ─(commit)→ restarting → the process ends
 *       ▲        │            │           │                   │
 *       └────────┴────────────┴───────────┴── failed, expired or dropped
 *
 * A stage lives only here, in memory. It is swapped in only after a commit that
 * came once it was reported, over the session that is current, and within
 * `commitWindowMs` of saying so there; that is checked when the commit arrives and
 * again right before the rename. A stage whose session was lost waits for the next
 * one and is reported anew; while a session is open, the window is final. A job that was swapped, failed or dropped is never taken up
 * again under the same id.
 *
 * Sessions come and go meanwhile. What could not be reported is told by the next
 * Hello: `active_job` while a job is under way, `last_update` after its end.
 */
import { once } from "node:events";
import { create } from "@bufbuild/protobuf";
import {
  LastUpdate_Outcome,
  UpdatePhase,
  UpdateProgressSchema,
  type ActiveJob,
  type CommandUpdate,
  type CommitUpdate,
  type LastUpdate,
  type ServerMessage,
  type UpdateProgress,
} from "../../gen/rollcall/v1/agent_pb.js";
import { JobReason } from "../../gen/rollcall/v1/model_pb.js";
import type { Clock, Random } from "../clock.ts";
import type { Log } from "../log.ts";
import type { CheckedRelease } from "./check-release.ts";
import { confirmPersistently } from "./confirm-persistently.ts";
import { activeJobOf, findCommitProblem, progressOf, type JobState, type RunningJob } from "./job-state.ts";
import { CancelledError, endStage, isWorthLeaving, LeftoverTimer } from "./leftover.ts";
import { stageRelease } from "./stage-release.ts";
import type { TrustStore } from "./trust-store.ts";
import { UpdateError } from "./update-error.ts";
import { UPDATE_LIMITS, type UpdateLimits } from "./update-limits.ts";
import type { UpdateLink } from "./update-link.ts";
import type { Settlement, UpdatePlatform } from "./update-platform.ts";
import {
  failedLastUpdate,
  failedProgress,
  settledLastUpdate,
  succeededLastUpdate,
  toUpdateError,
} from "./update-report.ts";

/** What a runner is made of. */
export interface UpdateRunnerOptions {
  readonly platform: UpdatePlatform;
  readonly trust: TrustStore;
  /** What `platform.settle()` found. */
  readonly settlement: Settlement;
  readonly ownPackage: string;
  readonly ownVersion: string;
  /** *Units*: bytes to leave free on the disk. */
  readonly reserveBytes: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly limits?: UpdateLimits;
}

/** Runs at most one job at a time. */
export class UpdateRunner implements AsyncDisposable {
  readonly #options: UpdateRunnerOptions;
  readonly #limits: UpdateLimits;
  readonly #stopped = new AbortController();
  readonly #replaced = Promise.withResolvers<void>();
  #state: JobState = { kind: "idle" };
  #link: UpdateLink | undefined;
  #lastUpdate: LastUpdate | undefined;
  /** A failure that neither a report nor a Hello has told yet. */
  #untold: UpdateProgress | undefined;
  #unconfirmedJobId: string | undefined;
  #droppedJobId: string | undefined;
  #isReplaced = false;
  /** Until when a commit may come on the session that was last told of the stage. *Units*: monotonic milliseconds. */
  #commitUntilMs = 0;
  #linked = Promise.withResolvers<void>();
  #nextReportAtMs = 0;
  readonly #leftover: LeftoverTimer;
  /** The tail of all work on the stage: jobs follow one another, never overlap. */
  #work: Promise<void> = Promise.resolve();
  #confirming: Promise<void> = Promise.resolve();

  constructor(options: UpdateRunnerOptions) {
    this.#options = options;
    this.#limits = options.limits ?? UPDATE_LIMITS;
    this.#lastUpdate = settledLastUpdate(options.settlement);
    this.#leftover = new LeftoverTimer(options.clock, this.#limits.leftoverMs, () => this.#removeLeftover());
    if (options.settlement.kind === "unconfirmed") this.#unconfirmedJobId = options.settlement.jobId;
  }

  /** Resolves once another binary stands in this one's place: the process is to exit with 0. */
  get replaced(): Promise<void> {
    return this.#replaced.promise;
  }

  /** True while a job is under way or this process is not confirmed yet. */
  get isUrgent(): boolean {
    return this.#state.kind !== "idle" || this.#unconfirmedJobId !== undefined;
  }

  /** What the next Hello tells. */
  hello(): { readonly activeJob: ActiveJob | undefined; readonly lastUpdate: LastUpdate | undefined } {
    this.#untold = undefined;
    return { activeJob: activeJobOf(this.#state), lastUpdate: this.#lastUpdate };
  }

  /** A server welcomed this process: it may command from now on, and an unconfirmed update is good. */
  welcomed(link: UpdateLink): void {
    this.#link = link;
    this.#nextReportAtMs = 0;
    this.#commitUntilMs = this.#options.clock.monotonicMs() + this.#limits.commitWindowMs;
    this.#linked.resolve();
    link.signal.addEventListener("abort", () => {
      if (this.#link !== link) return;
      this.#link = undefined;
      this.#linked = Promise.withResolvers();
    });
    if (this.#untold !== undefined) this.#report(this.#untold);
    this.#reportState();
    const jobId = this.#unconfirmedJobId;
    this.#work = this.#work.then(() => this.#options.platform.prepare());
    if (jobId !== undefined) this.#confirming = this.#confirming.then(() => this.#confirm(jobId));
  }

  /** Obeys one message. What comes from another session than the current one, and kinds it does not know, are ignored. */
  received(link: UpdateLink, { message }: ServerMessage): void {
    if (link !== this.#link || this.#isReplaced) return;
    if (message.case === "commandUpdate") this.#command(message.value);
    else if (message.case === "commitUpdate") this.#commit(message.value, link.epoch);
    else if (message.case === "cancelUpdate") this.#drop(message.value.jobId, new CancelledError());
  }

  /** Drops what is under way and waits until nothing touches the disk any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped.abort(new Error("the agent stops"));
    if (this.#state.kind !== "idle" && !this.#isReplaced)
      this.#drop(this.#state.job.command.jobId, new Error("stopping"));
    this.#leftover[Symbol.dispose]();
    await Promise.all([this.#work, this.#confirming]);
  }

  #command(command: CommandUpdate): void {
    const { jobId, fromVersion, toVersion } = command;
    const { log, ownVersion } = this.#options;
    if (this.#state.kind !== "idle" && this.#state.job.command.jobId === jobId) {
      this.#reportState();
      return;
    }
    if (jobId === this.#droppedJobId) {
      log.warn("command_ignored", { job_id: jobId, cause: "this job was called off" });
      return;
    }
    if (this.#lastUpdate?.jobId === jobId) {
      this.#repeatOutcome(this.#lastUpdate);
      return;
    }
    if (this.#state.kind !== "idle") this.#drop(this.#state.job.command.jobId, new Error("another job was commanded"));
    if (toVersion === ownVersion) {
      log.info("already_at_version", { job_id: jobId, version: ownVersion });
      this.#lastUpdate = succeededLastUpdate(jobId);
      this.#link?.close();
      return;
    }
    log.info("update_commanded", { job_id: jobId, from_version: fromVersion, to_version: toVersion });
    const job: RunningJob = { command, dropped: new AbortController(), committed: new AbortController() };
    this.#lastUpdate = undefined;
    this.#untold = undefined;
    this.#state = { kind: "preparing", job };
    this.#work = this.#work.then(() => this.#run(job));
  }

  #commit(commit: CommitUpdate, epoch: bigint): void {
    const problem = findCommitProblem(this.#state, commit, epoch);
    if (problem !== undefined) this.#options.log.warn("commit_ignored", { job_id: commit.jobId, cause: problem });
    else if (this.#state.kind === "staged") this.#state.job.committed.abort();
  }

  #drop(jobId: string, cause: Error): void {
    if (this.#state.kind === "idle" || this.#state.job.command.jobId !== jobId) return;
    this.#options.log.info("update_dropped", { job_id: jobId, cause: cause.message });
    this.#droppedJobId = jobId;
    this.#state.job.dropped.abort(cause);
    this.#state = { kind: "idle" };
  }

  async #run(job: RunningJob): Promise<void> {
    if (job.dropped.signal.aborted || this.#isReplaced) return;
    let fallback: JobReason = JobReason.DOWNLOAD_FAILED;
    try {
      const release = await this.#stage(job);
      const expiresAtMs = await this.#holdForCommit(job, release);
      fallback = JobReason.SWAP_FAILED;
      await this.#swap(job, release, expiresAtMs);
    } catch (error) {
      const end: unknown = job.dropped.signal.aborted ? job.dropped.signal.reason : toUpdateError(error, fallback);
      if (end instanceof UpdateError) this.#fail(job, end);
      await endStage(this.#options, isWorthLeaving(end));
      this.#leftover.restart();
    }
  }

  #stage(job: RunningJob): Promise<CheckedRelease> {
    return stageRelease(job.command, {
      ...this.#options,
      source: () => this.#link?.delivery,
      limits: this.#limits.fetch,
      signal: job.dropped.signal,
      onBytesDone: (bytesDone, bytesTotal) => this.#advance(job, bytesDone, bytesTotal),
    });
  }

  #advance(job: RunningJob, bytesDone: number, bytesTotal: number): void {
    if (!this.#isCurrent(job)) return;
    this.#state = { kind: "downloading", job, bytesDone, bytesTotal };
    const nowMs = this.#options.clock.monotonicMs();
    if (nowMs < this.#nextReportAtMs && bytesDone !== 0 && bytesDone !== bytesTotal) return;
    this.#nextReportAtMs = nowMs + this.#limits.progressIntervalMs;
    this.#reportState();
  }

  /**
   * Resolves when the commit came in time.
   *
   * *Shape*: the moment after which the stage may not be swapped in any more.
   */
  async #holdForCommit(job: RunningJob, release: CheckedRelease): Promise<number> {
    job.dropped.signal.throwIfAborted();
    const { clock, log } = this.#options;
    const { commitWindowMs } = this.#limits;
    const bytesTotal = release.artifact.sizeBytes;
    this.#state = { kind: "staged", job, bytesTotal };
    this.#commitUntilMs = clock.monotonicMs() + commitWindowMs;
    log.info("update_staged", { job_id: job.command.jobId, to_version: job.command.toVersion });
    this.#reportState();
    while (!job.committed.signal.aborted && !this.#isTooLate()) {
      await this.#waitForCommit(job);
      job.dropped.signal.throwIfAborted();
    }
    // The timer alone is no proof: it does not run while the machine sleeps.
    if (this.#isTooLate()) throw commitExpired(commitWindowMs);
    this.#state = { kind: "restarting", job, bytesTotal };
    this.#reportState();
    return this.#commitUntilMs;
  }

  #isTooLate(): boolean {
    return this.#link !== undefined && this.#options.clock.monotonicMs() >= this.#commitUntilMs;
  }

  /** Resolves when something may have changed: a commit, the end of the window, a session lost or opened, the job dropped. */
  async #waitForCommit(job: RunningJob): Promise<void> {
    const { clock } = this.#options;
    const changed = AbortSignal.any([job.dropped.signal, job.committed.signal]);
    if (this.#link === undefined) {
      await Promise.race([this.#linked.promise, aborted(changed)]);
      return;
    }
    const leftMs = this.#commitUntilMs - clock.monotonicMs();
    await clock.sleep(leftMs, AbortSignal.any([changed, this.#link.signal])).catch(() => undefined);
  }

  async #swap(job: RunningJob, release: CheckedRelease, expiresAtMs: number): Promise<void> {
    const { platform, clock, log } = this.#options;
    const { jobId, fromVersion, toVersion } = job.command;
    await platform.swap(release.artifact, {
      jobId,
      fromVersion,
      toVersion,
      sequence: release.sequence,
      isStillAllowed: () => !job.dropped.signal.aborted && clock.monotonicMs() < expiresAtMs,
    });
    this.#isReplaced = true;
    log.info("update_swapped", { job_id: jobId, from_version: fromVersion, to_version: toVersion });
    this.#replaced.resolve();
  }

  #fail(job: RunningJob, error: UpdateError): void {
    const { jobId } = job.command;
    this.#options.log.error("update_failed", {
      job_id: jobId,
      reason: JobReason[error.reason].toLowerCase(),
      cause: error.message,
    });
    this.#state = { kind: "idle" };
    this.#lastUpdate = failedLastUpdate(jobId, error);
    this.#report(failedProgress(jobId, error));
  }

  #removeLeftover(): void {
    if (this.#state.kind === "idle") this.#work = this.#work.then(() => endStage(this.#options, false));
  }

  async #confirm(jobId: string): Promise<void> {
    if (this.#unconfirmedJobId !== jobId) return;
    const { signal } = this.#stopped;
    const context = { ...this.#options, pauseMs: this.#limits.confirmPauseMs, signal };
    const isConfirmed = await confirmPersistently(jobId, context);
    if (!signal.aborted) this.#unconfirmedJobId = undefined;
    if (isConfirmed) this.#lastUpdate ??= succeededLastUpdate(jobId);
  }

  #repeatOutcome(ended: LastUpdate): void {
    this.#options.log.info("outcome_repeated", { job_id: ended.jobId });
    if (ended.outcome !== LastUpdate_Outcome.FAILED) this.#link?.close();
    else
      this.#report(
        create(UpdateProgressSchema, {
          jobId: ended.jobId,
          phase: UpdatePhase.FAILED,
          reason: ended.reason,
          details: ended.details,
        }),
      );
  }

  #reportState(): void {
    const progress = progressOf(this.#state);
    if (progress !== undefined) this.#report(progress);
  }

  #report(progress: UpdateProgress): void {
    this.#untold = this.#link === undefined && progress.phase === UpdatePhase.FAILED ? progress : undefined;
    this.#link?.report(progress);
  }

  #isCurrent(job: RunningJob): boolean {
    return this.#state.kind !== "idle" && this.#state.job === job;
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, "abort");
}

function commitExpired(windowMs: number): UpdateError {
  return new UpdateError(JobReason.COMMIT_EXPIRED, { detail: `no commit came within ${windowMs / 1000} s` });
}
