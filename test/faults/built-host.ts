/**
 * One host with the built agent: what the server asks of it while it runs, and
 * what must hold on it and on the server after an interruption.
 */
import { once } from "node:events";
import { watch } from "node:fs";
import { stat } from "node:fs/promises";
import { systemClock } from "../../agent/clock-system.ts";
import { digestFile } from "../../agent/updater/file-digest.ts";
import { readJournal, type Journal } from "../../agent/updater/journal.ts";
import { HostStatus, JobReason, JobState, type Job } from "../../gen/rollcall/v1/model_pb.js";
import type { DemoFleet } from "../demo/demo-fleet.ts";
import { supervise } from "../demo/supervisor.ts";
import { describeJob } from "../demo/update-host.ts";
import type { AgentHost } from "../support/agent-host.ts";
import { hasEndedWell, run, type Fault, type RunEnd, type RunningProgram } from "./strace-plan.ts";

/** A build, by its name and by its bytes. */
interface BuiltVersion {
  readonly version: string;
  readonly sha256: string;
}

/** From which build to which, and what was there before both. */
export interface BuiltVersions {
  readonly earliest: BuiltVersion;
  readonly older: BuiltVersion;
  readonly newer: BuiltVersion;
}

/** What an interruption left on the disk. */
interface Remains {
  readonly standing: "older" | "newer";
  readonly journal: Journal | undefined;
}

/** *Units*: milliseconds. Shorter than a service manager's: only the order of things matters here. */
const RESTART_DELAY_MS = 20;
const KNOWN: readonly (keyof BuiltVersions)[] = ["earliest", "older", "newer"];
const ENDED: ReadonlySet<JobState> = new Set([
  JobState.SUCCEEDED,
  JobState.FAILED,
  JobState.ROLLED_BACK,
  JobState.CANCELLED,
]);
/** States of a job whose agent has a stage to lose. */
const PAST_STAGE: ReadonlySet<JobState> = new Set([JobState.STAGED, JobState.RESTARTING]);

/** One host of a BuiltFleet. */
export class BuiltHost {
  readonly #host: AgentHost;
  readonly #versions: BuiltVersions;
  readonly #fleet: DemoFleet;
  readonly #logPath: string;
  readonly #never = new AbortController().signal;

  constructor(host: AgentHost, versions: BuiltVersions, fleet: DemoFleet, logPath: string) {
    this.#host = host;
    this.#versions = versions;
    this.#fleet = fleet;
    this.#logPath = logPath;
  }

  /** Starts an update as soon as the agent is connected, and ends the agent when the update failed and it lives on. */
  async askForUpdate(program: RunningProgram): Promise<void> {
    try {
      await this.#untilOnline(program.gone);
      const job = await this.#startUpdate();
      await this.#untilEnded(job.id, program.gone);
      program.stop();
    } catch (error) {
      // The interruption came first.
      if (!program.gone.aborted) throw error;
    }
  }

  /** First as the interruption left it; then the agent is started again, tells what happened and updates if it has not. */
  async findProblems(fault: Fault | "none", end: RunEnd): Promise<readonly string[]> {
    const { binary, old } = this.#host.paths;
    const problems: string[] = [];
    const standing = await this.#versionAt(binary);
    const kept = await this.#versionAt(old);
    if (standing !== "older" && standing !== "newer") return [`the binary is ${standing ?? "missing or not whole"}`];
    if (standing === "newer" && kept !== "older")
      problems.push("the newer version stands, and `.old` is not the older");
    if (kept === undefined) problems.push("`.old` is missing or not whole");
    const journal = await readJournal(this.#host.paths);
    if (journal === undefined) problems.push("the journal cannot be read");
    if (standing === "newer" && journal?.toSha256 !== this.#versions.newer.sha256)
      problems.push("the newer version stands, and the journal does not say so");
    if (hasEndedWell(end) && fault === "none" && standing !== "newer") problems.push("it ended well without an update");
    const said = await run(binary, ["version"], {});
    if (said.stdout !== `${this.#versions[standing].version}\n`) problems.push(`it does not run: ${said.stderr}`);
    return [...problems, ...(await this.#findProblemsOfNextStart(fault, { standing, journal }))];
  }

  async #findProblemsOfNextStart(fault: Fault | "none", remains: Remains): Promise<readonly string[]> {
    const before = await this.#latestJob();
    await using _agent = supervise(
      {
        program: this.#host.paths.binary,
        programArguments: this.#host.runArguments,
        cwd: "/",
        env: {},
        logPath: this.#logPath,
        restartDelayMs: RESTART_DELAY_MS,
      },
      systemClock,
    );
    const problems: string[] = [];
    const told = before === undefined ? undefined : await this.#untilEnded(before.id, this.#never);
    if (told !== undefined) problems.push(...findUntruths(fault, remains, before, told));
    if (told?.state !== JobState.SUCCEEDED) {
      await this.#untilOnline(this.#never);
      const second = await this.#untilEnded((await this.#startUpdate()).id, this.#never);
      if (second.state !== JobState.SUCCEEDED) problems.push(`the second attempt ${describeJob(second)}`);
    }
    return problems.length === 0 ? await this.#findProblemsOfSuccess() : problems;
  }

  async #findProblemsOfSuccess(): Promise<readonly string[]> {
    const { paths, hostId } = this.#host;
    await this.#untilConfirmed();
    const problems: string[] = [];
    if ((await this.#versionAt(paths.binary)) !== "newer") problems.push("the job succeeded without the newer version");
    if ((await this.#versionAt(paths.old)) !== "older") problems.push("the job succeeded and `.old` is not the older");
    for (const leftover of [paths.staged, paths.oldTemporary, paths.journalTemporary, paths.verdictTemporary])
      if (await exists(leftover)) problems.push(`${leftover} was left`);
    const { host } = await this.#fleet.client.getHost({ hostId });
    if (host?.agentVersion !== this.#versions.newer.version) problems.push(`the server sees ${host?.agentVersion}`);
    return problems;
  }

  async #startUpdate(): Promise<Job> {
    const { job } = await this.#fleet.client.updateHost({ hostId: this.#host.hostId });
    if (job === undefined) throw new Error("UpdateHost answered without a job");
    return job;
  }

  async #latestJob(): Promise<Job | undefined> {
    return (await this.#fleet.client.getHost({ hostId: this.#host.hostId })).host?.latestJob;
  }

  async #untilOnline(signal: AbortSignal): Promise<void> {
    const { hostId } = this.#host;
    await this.#fleet.watch.until(
      ({ hosts }) => (hosts.get(hostId)?.status === HostStatus.ONLINE ? true : undefined),
      signal,
    );
  }

  #untilEnded(jobId: string, signal: AbortSignal): Promise<Job> {
    return this.#fleet.watch.until(({ jobs }) => {
      const job = jobs.get(jobId);
      return job !== undefined && ENDED.has(job.state) ? job : undefined;
    }, signal);
  }

  /** The agent writes the confirmation down after the server has heard from it. */
  async #untilConfirmed(): Promise<void> {
    const { paths } = this.#host;
    const watcher = watch(paths.stateDir);
    try {
      // Begins to wait before it looks, else a change in between goes unseen.
      for (let next = once(watcher, "change"); !(await this.#isConfirmed()); next = once(watcher, "change")) await next;
    } finally {
      watcher.close();
    }
  }

  async #isConfirmed(): Promise<boolean> {
    const journal = await readJournal(this.#host.paths);
    return journal?.state === "confirmed" && !(await exists(this.#host.paths.verdictTemporary));
  }

  async #versionAt(path: string): Promise<keyof BuiltVersions | undefined> {
    const digest = await digestFile(path).catch(() => undefined);
    return KNOWN.find((name) => this.#versions[name].sha256 === digest?.sha256);
  }
}

/** What the server was told of the interrupted update, and is not so. */
function findUntruths(
  fault: Fault | "none",
  { standing, journal }: Remains,
  before: Job | undefined,
  told: Job,
): readonly string[] {
  const words = describeJob(told);
  if (told.state === JobState.FAILED && standing === "newer")
    return told.details?.detail.includes("is in place") === true
      ? []
      : [`the newer version stands, and the job ${words}`];
  if (told.state === JobState.SUCCEEDED) {
    const hasLostStage = standing === "older" && (PAST_STAGE.has(before?.state ?? 0) || journal?.jobId === told.id);
    return hasLostStage ? ["the stage was lost, and the job succeeded"] : [];
  }
  if (told.state !== JobState.FAILED) return [`the job ${words}`];
  if (fault === "kill" || fault === "none")
    return told.reason === JobReason.AGENT_RESTARTED ? [] : [`the agent was killed, and the job ${words}`];
  return told.details?.errorCode === fault ? [] : [`the disk said ${fault}, and the job ${words}`];
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
