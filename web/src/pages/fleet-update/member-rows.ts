/** The hosts of a fleet update as its page shows them. */
import { JobState, type Host, type Job } from "../../../../gen/rollcall/v1/model_pb.js";
import {
  FleetUpdateHostState,
  type FleetUpdate,
  type FleetUpdateHost,
} from "../../../../gen/rollcall/v1/rollout_pb.js";
import { shortReason } from "../../../../gen/short-reason.ts";
import { isOpen, jobWord, memberWord } from "../../../../gen/words/job-words.ts";
import { formatBytes, formatDuration, percentOf } from "../../../../gen/words/quantities.ts";
import type { StateWord } from "../../../../gen/words/shapes.ts";
import { toMs } from "../../../../gen/words/times.ts";

/** One host's row. */
export interface MemberRow {
  readonly member: FleetUpdateHost;
  readonly state: StateWord;
  readonly job: Job | undefined;
  readonly percent: number | undefined;
  readonly detail: string;
}

/** A member with what is known of its job now. */
export function toMemberRow(update: FleetUpdate, member: FleetUpdateHost, host: Host | undefined): MemberRow {
  const job = host?.latestJob?.id === member.jobId && member.jobId !== "" ? host.latestJob : undefined;
  const isUpdating = member.state === FleetUpdateHostState.UPDATING;
  // The job is told of a moment before its place in the fleet update.
  const state = isUpdating && job !== undefined ? jobWord(job.state) : memberWord(member.state, update.state);
  const percent =
    isUpdating && job?.state === JobState.DOWNLOADING ? percentOf(job.bytesDone, job.bytesTotal) : undefined;
  return { member, state, job, percent, detail: detailOf(member, job, percent) };
}

function detailOf(member: FleetUpdateHost, job: Job | undefined, percent: number | undefined): string {
  if (member.reason !== "") return shortReason(member.reason);
  if (job === undefined) return "";
  if (percent !== undefined) return `${percent} %  ${formatBytes(job.bytesDone)} of ${formatBytes(job.bytesTotal)}`;
  const from = toMs(job.createdAt);
  const to = toMs(job.endedAt);
  if (isOpen(job.state) || from === undefined || to === undefined) return "";
  return job.state === JobState.SUCCEEDED ? `took ${formatDuration(to - from)}` : "";
}
