/** Runs one fleet update over every host of the demo and tells of each as it happens. */
import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import { JobState, type Job } from "../../gen/rollcall/v1/model_pb.js";
import { FleetUpdateHostState, FleetUpdateState, type FleetUpdate } from "../../gen/rollcall/v1/rollout_pb.js";
import { stopwatchMs } from "../bench/stopwatch-clock.ts";
import type { DemoFleet, HostIds } from "./demo-fleet.ts";
import { describeJob, findEndedJob } from "./update-host.ts";

/** How a fleet update went. */
export interface RollOutResult {
  readonly succeeded: number;
  readonly failed: number;
  /** *Units*: milliseconds. */
  readonly elapsedMs: number;
  /** As they went on the wire. */
  readonly bytesFetched: bigint;
  /** Of each host that succeeded, from its dispatch to its end. *Units*: milliseconds. */
  readonly updateMs: readonly number[];
}

/** What the demo hears while it runs. */
export interface RollOutListener {
  print(line: string): void;
  /** The commit of this host is recorded; its agent is about to restart. */
  committed(name: string): Promise<void>;
}

/** *Throws* ConnectError when the server refuses it. */
export async function rollOut(
  fleet: DemoFleet,
  ids: HostIds,
  listener: RollOutListener,
  signal: AbortSignal,
): Promise<RollOutResult> {
  const startedMs = stopwatchMs();
  const { fleetUpdate, hosts } = await fleet.client.startFleetUpdate({ hostIds: [...ids.values()] }, { signal });
  if (fleetUpdate === undefined) throw new Error("StartFleetUpdate answered without a fleet update");
  listener.print(
    `Rolling ${fleetUpdate.toVersion} through ${hosts.length} hosts, one at a time, halting at the first failure.`,
  );
  const ended: Job[] = [];
  for (const [name, hostId] of ids) {
    const job = await watchTurn(fleet, fleetUpdate.id, name, hostId, listener, signal);
    if (job === undefined) break;
    ended.push(job);
    listener.print(`${name}: ${describeJob(job)} after ${(updateMsOf(job) / 1000).toFixed(2)} s`);
  }
  const last = await fleet.watch.until(({ fleetUpdates }) => endedOf(fleetUpdates.get(fleetUpdate.id)), signal);
  tellEnd(last, ids, listener);
  const succeeded = ended.filter((job) => job.state === JobState.SUCCEEDED);
  const settled = await fleet.client.getFleetUpdate({ fleetUpdateId: fleetUpdate.id }, { signal });
  return {
    succeeded: succeeded.length,
    failed: settled.hosts.filter((host) => host.state === FleetUpdateHostState.FAILED).length,
    elapsedMs: Math.round(stopwatchMs() - startedMs),
    bytesFetched: ended.reduce((sum, job) => sum + job.bytesDelivered, 0n),
    updateMs: succeeded.map(updateMsOf),
  };
}

/** Watches one host's turn. *Shape*: its job once that ended; `undefined` when the fleet update ended before its turn. */
async function watchTurn(
  fleet: DemoFleet,
  fleetUpdateId: string,
  name: string,
  hostId: string,
  listener: RollOutListener,
  signal: AbortSignal,
): Promise<Job | undefined> {
  const begun = await fleet.watch.until(({ jobs, fleetUpdates }) => {
    const job = [...jobs.values()].find((job) => job.hostId === hostId && job.fleetUpdateId === fleetUpdateId);
    if (job !== undefined) return { jobId: job.id };
    return endedOf(fleetUpdates.get(fleetUpdateId)) && { jobId: undefined };
  }, signal);
  const { jobId } = begun;
  if (jobId === undefined) return undefined;
  const state = await fleet.watch.until((view) => {
    const job = view.jobs.get(jobId);
    return job?.state === JobState.RESTARTING ? job.state : findEndedJob(view, jobId)?.state;
  }, signal);
  if (state === JobState.RESTARTING) await listener.committed(name);
  return fleet.watch.until((view) => findEndedJob(view, jobId), signal);
}

function endedOf(update: FleetUpdate | undefined): FleetUpdate | undefined {
  return update !== undefined && update.state !== FleetUpdateState.RUNNING ? update : undefined;
}

function tellEnd(update: FleetUpdate, ids: HostIds, listener: RollOutListener): void {
  const name = [...ids].find(([, id]) => id === update.haltedHostId)?.[0];
  if (update.state === FleetUpdateState.HALTED) {
    listener.print(
      `Halted at ${name ?? update.haltedHostId}: ${update.haltReason}. Not touched after it: ${update.counts?.pending ?? 0}.`,
    );
  } else {
    listener.print(`The fleet update is ${FleetUpdateState[update.state].toLowerCase()}.`);
  }
}

function updateMsOf(job: Job): number {
  return job.endedAt === undefined || job.createdAt === undefined ? 0 : toMs(job.endedAt) - toMs(job.createdAt);
}

function toMs(at: Timestamp): number {
  return timestampDate(at).getTime();
}
