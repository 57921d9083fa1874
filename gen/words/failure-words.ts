/**
 * Why an update of one host failed, in sentences: what happened, what was left
 * untouched, what to do. The short form stands in table cells.
 */
import { JobReason, JobState, type Job } from "../rollcall/v1/model_pb.js";
import { SHORT_REASONS } from "../short-reason.ts";
import { jobWord } from "./job-words.ts";
import { formatBytes, percentOf } from "./quantities.ts";
import { formatClock, toMs } from "./times.ts";

/** One failure, told whole. */
export interface Failure {
  /** As in `Not enough disk space`. */
  readonly short: string;
  readonly happened: string;
  readonly untouched: string;
  readonly toDo: string;
  /** Versions and paths that the sentences hold. */
  readonly codes: readonly string[];
}

/** What the sentences speak of. */
interface Facts {
  readonly host: string;
  readonly from: string;
  readonly to: string;
  /** The folder or file, in words that always fit into a sentence. */
  readonly folder: string;
  readonly detail: string;
  readonly job: Job;
}

interface Words {
  readonly happened: (facts: Facts) => string;
  readonly untouched?: (facts: Facts) => string;
  readonly toDo: (facts: Facts) => string;
}

/** Tells why a job failed or was rolled back. Without a reason it says that none is known. */
export function explainFailure(job: Job, host: string): Failure {
  const words = WORDS[job.reason];
  const facts: Facts = {
    host,
    from: job.fromVersion,
    to: job.toVersion,
    folder: job.details?.path || "the agent's folder",
    detail: job.details?.detail || job.details?.errorCode || "no further detail was given",
    job,
  };
  if (job.state === JobState.ROLLED_BACK) return explainRollback(facts);
  const untouched = words.untouched ?? leftUntouched;
  return {
    short: SHORT_REASONS[job.reason],
    happened: words.happened(facts),
    untouched: untouched(facts),
    toDo: words.toDo(facts),
    codes: codesOf(job),
  };
}

function explainRollback({ host, from, to, job }: Facts): Failure {
  const cause =
    job.reason === JobReason.CRASHED
      ? "crashed three times"
      : job.reason === JobReason.NOT_CONFIRMED
        ? "was not confirmed within 45 s"
        : "did not hold";
  return {
    short: `Rolled back: ${SHORT_REASONS[job.reason].charAt(0).toLowerCase()}${SHORT_REASONS[job.reason].slice(1)}`,
    happened: `${to} ${cause} on ${host}; the guard put ${from} back.`,
    untouched: `${host} runs ${from} again.`,
    toDo: `Read the agent's log on ${host} before you try ${to} again.`,
    codes: codesOf(job),
  };
}

function codesOf({ fromVersion, toVersion, details }: Job): readonly string[] {
  return [fromVersion, toVersion, details?.path ?? "", details?.actualVersion ?? "", "rollcall-agent"];
}

/** Hangs on whether the commit was sent, not on the reason. */
function leftUntouched({ host, from, to, job }: Facts): string {
  return job.committedAt === undefined
    ? `${host} still runs ${from}; nothing on it was replaced.`
    : `${host} may run ${from} or ${to}; its guard puts ${from} back by itself if ${to} does not hold.`;
}

const again = (): string => "Update again.";

/** One entry a reason. *Shape*: the compiler refuses a reason without words. */
const WORDS: Readonly<Record<JobReason, Words>> = {
  [JobReason.UNSPECIFIED]: {
    happened: ({ host, to }) => `The update of ${host} to ${to} failed and gave no reason.`,
    toDo: ({ host }) => `Read the agent's log on ${host}, then update it again.`,
  },
  [JobReason.NO_PROGRESS]: {
    happened: ({ host, job }) =>
      job.details?.maximumAgeReached === true
        ? `The update of ${host} still advanced, but did not end within 60 minutes.`
        : job.details?.lastState === undefined || job.details.lastState <= JobState.DISPATCHED
          ? `${host} did not answer the command; its agent may be too old to know it.`
          : `${host} sent no progress for 90 seconds while ${whileDoing(job)}.`,
    toDo: ({ host, job }) =>
      job.details?.lastState === undefined || job.details.lastState <= JobState.DISPATCHED
        ? "Run the install command on it once."
        : `Check the link and load of ${host}, then update it again.`,
  },
  [JobReason.AGENT_LOST]: {
    happened: ({ host, job }) => {
      const at = toMs(job.committedAt);
      const time = at === undefined ? "" : ` at ${formatClock(at)}`;
      return `${host} was told to restart${time} and has not reported for 90 seconds.`;
    },
    toDo: ({ host, to }) =>
      `Look at the service rollcall-agent on ${host}. When it reports ${to}, this alert closes by itself.`,
  },
  [JobReason.AGENT_RESTARTED]: {
    happened: ({ host, to }) => `The agent on ${host} restarted before it put ${to} in place.`,
    toDo: ({ host }) => `Update again; if it repeats, read the agent's log on ${host}.`,
  },
  [JobReason.COMMIT_EXPIRED]: {
    happened: ({ host, to }) => `${host} held ${to} ready for 60 s, but no go-ahead arrived. It was deleted.`,
    toDo: again,
  },
  [JobReason.PREFLIGHT_READ_ONLY]: {
    happened: ({ host, folder }) => `The agent cannot write to ${folder} on ${host}.`,
    toDo: ({ folder }) => `Make ${folder} writable for the agent, then update again.`,
  },
  [JobReason.PREFLIGHT_NO_SPACE]: {
    happened: ({ host, folder, job }) =>
      `${host} has ${formatBytes(job.details?.bytesFree ?? 0n)} free under ${folder} and needs ${formatBytes(job.details?.bytesNeeded ?? 0n)}.`,
    toDo: ({ job }) => {
      const missing = (job.details?.bytesNeeded ?? 0n) - (job.details?.bytesFree ?? 0n);
      return `Free ${missing > 0n ? formatBytes(missing) : "space"} there, then update again.`;
    },
  },
  [JobReason.PREFLIGHT_NOT_EXECUTABLE]: {
    happened: ({ host, folder }) => `${folder} on ${host} does not allow programs to run (mounted noexec).`,
    toDo: ({ folder }) => `Remount ${folder} with exec, then update again.`,
  },
  [JobReason.PREFLIGHT_WRONG_PLATFORM]: {
    happened: ({ host, job }) =>
      `${host} is ${job.details?.platform || "another platform"}; the file it was given is for ${job.details?.artifactPlatform || "another"}.`,
    toDo: () => "Check the release under Releases, or the host if it moved to other hardware.",
  },
  [JobReason.DOWNLOAD_FAILED]: {
    happened: ({ host, job, detail }) =>
      `${host} received ${formatBytes(job.bytesDone)} of ${formatBytes(job.bytesTotal)}, then: ${asClause(detail)}.`,
    toDo: () => "Check the network to the server and update again; it goes on where it stopped.",
  },
  [JobReason.DIGEST_MISMATCH]: {
    happened: ({ host }) => `The file on ${host} does not have the checksum of the release. It was deleted.`,
    toDo: ({ host }) => `Update again. If it repeats, check the server's release folder and the disk of ${host}.`,
  },
  [JobReason.SIGNATURE_INVALID]: {
    happened: ({ host, to }) => `${host} does not trust the signature of ${to}.`,
    toDo: ({ host }) => `Do not try again before you know why. Compare the key under Releases with the one on ${host}.`,
  },
  [JobReason.KEY_UNKNOWN]: {
    happened: ({ host, to }) => `${to} is signed by a key that the publisher's key set does not name to ${host}.`,
    toDo: () => "Do not try again before you know why. Compare the key under Releases with the publisher's key set.",
  },
  [JobReason.KEY_REVOKED]: {
    happened: ({ host, to }) => `${to} is signed by a key that the publisher revoked; ${host} refuses it.`,
    toDo: () => "Do not try again. Have the release signed anew with a current key and choose that as the target.",
  },
  [JobReason.KEYS_INVALID]: {
    happened: ({ host }) => `The key set that ${host} was given is not signed by a root key of its build.`,
    toDo: ({ host }) =>
      `Do not try again before you know why. Check that the agent on ${host} and the release come from one publisher.`,
  },
  [JobReason.KEYS_OUTDATED]: {
    happened: ({ host }) => `The key set that ${host} was given is older than the one it knows.`,
    toDo: () => "Give the server the publisher's newest key set, then update again.",
  },
  [JobReason.HOST_REPLACED]: {
    happened: ({ host }) =>
      `Another machine took the place of ${host}, such as after it was reinstalled, while it was updated.`,
    untouched: () => "Nothing was sent to the machine that is there now.",
    toDo: () => "Update it again if the machine that is there now is behind.",
  },
  [JobReason.DOWNGRADE_REFUSED]: {
    happened: ({ host, to, job }) => {
      const detail = job.details?.detail;
      return `${to} is older than what ${host} has run before, and the release does not allow that${detail ? ` (${asClause(detail)})` : ""}.`;
    },
    toDo: () => "Choose a newer target, or publish a release whose manifest allows the downgrade.",
  },
  [JobReason.PROBE_FAILED]: {
    happened: ({ host, to, detail }) =>
      `${to} was downloaded whole but did not pass its test run on ${host}: ${asClause(detail)}.`,
    toDo: () => "Read the detail and mend the cause; do not roll this release to more hosts.",
  },
  [JobReason.SWAP_FAILED]: {
    happened: ({ host, to, detail }) => `${host} could not put ${to} in place: ${asClause(detail)}.`,
    untouched: ({ host, from, folder }) => `The program at ${folder} is whole; ${host} runs ${from}.`,
    toDo: ({ folder }) => `Check rights and security software on ${folder}, then update again.`,
  },
  [JobReason.WRONG_VERSION]: {
    happened: ({ host, to, job }) =>
      `${host} restarted and reports ${job.details?.actualVersion || "another version"} instead of ${to}.`,
    untouched: ({ host }) => `Nothing further was sent to ${host}.`,
    toDo: () => "Check what the release's file reports, and whether something else installs agents there.",
  },
  [JobReason.CRASHED]: {
    happened: ({ host, to }) => `${to} crashed on ${host}.`,
    toDo: ({ host, to }) => `Read the agent's log on ${host} before you try ${to} again.`,
  },
  [JobReason.NOT_CONFIRMED]: {
    happened: ({ host, to }) => `${to} started on ${host} but was not confirmed within 45 s.`,
    toDo: ({ host, to }) => `Read the agent's log on ${host} before you try ${to} again.`,
  },
};

/** `downloading, 41 %` */
function whileDoing(job: Job): string {
  const state = job.details?.lastState ?? JobState.DISPATCHED;
  const percent = state === JobState.DOWNLOADING ? percentOf(job.bytesDone, job.bytesTotal) : undefined;
  return `${jobWord(state).word.toLowerCase()}${percent === undefined ? "" : `, ${percent} %`}`;
}

/** A host's own words in the middle of ours. */
function asClause(text: string): string {
  return text.replace(/[.\s]+$/, "");
}
