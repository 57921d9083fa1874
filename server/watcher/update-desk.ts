/**
 * Where updates are asked for and called off. A single update and a fleet update
 * go through the same `dispatch`.
 */
import { AGENT_PACKAGE } from "../domain/host.ts";
import { findDispatchRefusal, type DispatchRefusal } from "../domain/dispatch-check.ts";
import type { Random } from "../domain/clock.ts";
import { RefusedError } from "../domain/errors.ts";
import type { HostId, JobId } from "../domain/ids.ts";
import type { Job } from "../domain/job.ts";
import { isOpen } from "../domain/job-state.ts";
import { isLegal } from "../domain/reduce-job.ts";
import { applyJobEvent, settleJobEvent, writeJobAudit, type InterpreterParts } from "./job-interpreter.ts";
import type { UpdateRequest, UpdateTransaction } from "./ports.ts";

export class UpdateDesk {
  readonly #parts: InterpreterParts;
  readonly #random: Random;

  constructor(parts: InterpreterParts, random: Random) {
    this.#parts = parts;
    this.#random = random;
  }

  /**
   * Writes a job down, then sends its command. A host that is just reconnecting gets it at its Hello.
   *
   * *Throws* RefusedError when something stands against it; then nothing was written or sent.
   */
  async dispatch(request: UpdateRequest): Promise<Job> {
    const job = await this.#parts.store.transaction((tx) => this.write(tx, request));
    await this.send(job);
    return job;
  }

  /** The first half of `dispatch`, for a transaction that writes more. *Throws* RefusedError. */
  async write(tx: UpdateTransaction, request: UpdateRequest): Promise<Job> {
    const facts = await tx.lockDispatchFacts(request.hostId, request.toVersion);
    if (facts === undefined) throw unknownHost(request.hostId);
    const refusal = findDispatchRefusal(facts, request.ignoreQuarantine);
    if (refusal !== undefined) throw refuse(request.hostId, refusal);
    const written = await tx.insertJob({
      id: this.#random.uuid() as JobId,
      hostId: request.hostId,
      package: AGENT_PACKAGE,
      fromVersion: facts.agentVersion,
      toVersion: facts.targetVersion ?? "",
      manifestSha256: facts.manifestSha256 ?? new Uint8Array(),
      artifactSha256: facts.artifactSha256 ?? "",
      ignoreQuarantine: request.ignoreQuarantine,
      fleetUpdateId: request.fleetUpdateId,
      requestedBy: request.requestedBy,
    });
    const asked =
      request.fleetUpdateId === null ? "an update of this host was asked for" : "its turn in a fleet update";
    const cause = facts.isQuarantined ? `${asked}, although its artifact is quarantined` : asked;
    await writeJobAudit(tx, written, "host.update_dispatched", { actor: request.requestedBy, cause });
    return written;
  }

  /** The second half of `dispatch`, once the first is committed. */
  async send(job: Job): Promise<void> {
    await settleJobEvent(this.#parts, { job, effects: [{ kind: "send_command" }], isChanged: true });
  }

  /**
   * Calls off a job whose commit is not recorded.
   *
   * *Throws* RefusedError when it is unknown, has ended, or its host was already told to restart.
   */
  async cancel(jobId: string, actor: string): Promise<Job> {
    const applied = await this.#parts.store.transaction(async (tx) => {
      const job = await tx.lockJob(jobId);
      if (job === undefined) throw new RefusedError("job_unknown", `There is no job ${jobId}.`, { job_id: jobId });
      // Asked twice, answered alike.
      if (job.state.name === "cancelled") return { job, effects: [], isChanged: false };
      if (!isOpen(job.state.name)) {
        throw new RefusedError("job_ended", `The job has already ended: ${job.state.name}.`, {
          job_id: jobId,
          state: job.state.name,
        });
      }
      if (!isLegal(job.state.name, "cancelled")) {
        throw new RefusedError(
          "job_committed",
          "The host was already told to restart. Nothing was cancelled; the job is watched to its end.",
          { job_id: jobId },
        );
      }
      return applyJobEvent(tx, job, { name: "cancelled" }, { actor, cause: "the job was cancelled" });
    });
    await settleJobEvent(this.#parts, applied);
    return applied.job;
  }
}

function unknownHost(hostId: HostId): RefusedError {
  return new RefusedError("host_unknown", `There is no host ${hostId}, or it was removed. Nothing was sent.`, {
    host_id: hostId,
  });
}

function refuse(hostId: HostId, refusal: DispatchRefusal): RefusedError {
  const { reason, ...facts } = refusal;
  return new RefusedError(reason, `${sentenceOf(refusal)} Nothing was sent.`, { host_id: hostId, ...toWords(facts) });
}

function toWords(facts: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(facts).map(([name, value]) => [name === "jobId" ? "job_id" : name, value]));
}

function sentenceOf(refusal: DispatchRefusal): string {
  switch (refusal.reason) {
    case "host_archived":
      return "The host is archived; bring it back first.";
    case "host_offline":
      return "The host is offline; it can be updated when it reports again.";
    case "already_at_target":
      return `The host already runs ${refusal.version}.`;
    case "update_running":
      return "An update of this host is already running.";
    case "no_target":
      return "No target version is set.";
    case "no_artifact":
      return `${refusal.version} has no build for ${refusal.platform}.`;
    case "below_sequence_floor":
      return `The host would refuse ${refusal.version}: it takes nothing below the sequence ${refusal.floor}.`;
    case "needs_reinstall":
      return (
        `The host's unit and guard are of revision ${refusal.installed}, and ${refusal.version} needs revision ` +
        `${refusal.expected}. Run the install line on it again; it keeps its identity and needs no token.`
      );
    case "quarantined":
      return "The artifact is quarantined because it rolled back on other hosts; an admin can lift that, or ignore it for one host.";
    case "identity_duplicated":
      return "Two machines use this host's credential; enrol one of them again.";
  }
}
