/** What an update came to: on the server, and on the host. */
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { digestFile } from "../../agent/updater/file-digest.ts";
import { JobReason, JobState, type Job } from "../../gen/rollcall/v1/model_pb.js";
import type { AgentBuilds } from "../demo/agent-builds.ts";
import { AGENT_PATHS } from "./agent-host.ts";
import type { FleetHost, HostFleet } from "./host-fleet.ts";

/** The time within which a new version that does not come to life is replaced. *Units*: seconds from the commit. */
export const ROLLBACK_LIMIT_S = 75;

/** The end of one job, and the files of its host. */
export interface Outcome {
  readonly state: keyof typeof JobState;
  readonly reason: keyof typeof JobReason;
  /** The build that stands at the path; `undefined` for what is neither. */
  readonly binary: keyof AgentBuilds | undefined;
  /** The build that is kept beside it. */
  readonly old: keyof AgentBuilds | undefined;
  /** From the commit to the end. *Units*: seconds; `undefined` for a job that was not committed. */
  readonly secondsFromCommit: number | undefined;
}

/** Resolves once the job has ended and the host's agent is connected with the build that it should run now. */
export async function untilOutcome(
  fleet: HostFleet,
  host: FleetHost,
  job: Job,
  runs: keyof AgentBuilds,
): Promise<Outcome> {
  await fleet.untilEnded(job);
  await fleet.untilOnline(host.machine.name, fleet.builds[runs].version);
  // A host that was lost may have told a truer outcome by now.
  const { state, reason, toVersion, committedAt, endedAt } = await fleet.readJob(job);
  const outcome = {
    state: JobState[state] as keyof typeof JobState,
    reason: JobReason[reason] as keyof typeof JobReason,
    binary: await findBuild(fleet, host, AGENT_PATHS.binary),
    old: await findBuild(fleet, host, AGENT_PATHS.old),
    secondsFromCommit:
      committedAt === undefined || endedAt === undefined
        ? undefined
        : (timestampMs(endedAt) - timestampMs(committedAt)) / 1000,
  };
  const time = outcome.secondsFromCommit === undefined ? "" : `, ${outcome.secondsFromCommit.toFixed(1)} s from commit`;
  console.log(`${host.machine.name} to ${toVersion}: ${outcome.state} ${outcome.reason}${time}; runs ${runs}`);
  return outcome;
}

/** Which build a file of a running host is. *Shape*: `undefined` when it is neither, or not there. */
export async function findBuild(
  { builds }: HostFleet,
  { machine }: FleetHost,
  path: string,
): Promise<keyof AgentBuilds | undefined> {
  const found = await digestFile(machine.path(path)).catch(() => undefined);
  for (const name of ["older", "newer"] as const)
    if ((await digestFile(builds[name].binaryPath)).sha256 === found?.sha256) return name;
  return undefined;
}
