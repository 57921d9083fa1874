/** docs/troubleshooting.md: every reason for which an update fails, in the sentences of dashboard and command line. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { JobDetailsSchema, JobReason, JobSchema, JobState } from "../../gen/rollcall/v1/model_pb.js";
import { explainFailure } from "../../gen/words/failure-words.ts";

/** Where it stands, from the repository's root. */
export const TROUBLESHOOTING_PATH = "docs/troubleshooting.md";

const HEAD = `# Why an update failed

What dashboard, \`rollcall\` and alerts say, by the reason that the API gives (\`Job.reason\`). In these sentences the host is
web-1, which was to go from 1.0.0 to 2.0.0. Every job keeps the facts behind its reason, such as bytes and paths, in
\`Job.details\`; what a version that was rolled back said last is in its log (\`GetJobLog\`, or at the job on the host's page).

`;

/** Reasons of a version that started and did not hold: the guard puts the one before back. */
const ROLLBACKS: ReadonlySet<JobReason> = new Set([JobReason.CRASHED, JobReason.NOT_CONFIRMED]);

/** Reasons that come after the host was told to go ahead. */
const COMMITTED: ReadonlySet<JobReason> = new Set([
  JobReason.AGENT_LOST,
  JobReason.SWAP_FAILED,
  JobReason.WRONG_VERSION,
  ...ROLLBACKS,
]);

/** The whole page. */
export function writeTroubleshooting(): string {
  const reasons = Object.values(JobReason).filter((reason): reason is JobReason => typeof reason === "number");
  return (
    HEAD +
    reasons
      .filter((reason) => reason !== JobReason.UNSPECIFIED)
      .map(describeReason)
      .join("\n")
  );
}

function describeReason(reason: JobReason): string {
  const job = create(JobSchema, {
    state: ROLLBACKS.has(reason) ? JobState.ROLLED_BACK : JobState.FAILED,
    reason,
    fromVersion: "1.0.0",
    toVersion: "2.0.0",
    bytesDone: 40_000_000n,
    bytesTotal: 110_000_000n,
    committedAt: COMMITTED.has(reason) ? timestampFromMs(0) : undefined,
    details: create(JobDetailsSchema, {
      path: "/opt/rollcall",
      detail: "(what the system said)",
      bytesFree: 60_000_000n,
      bytesNeeded: 180_000_000n,
      platform: "linux-x64",
      artifactPlatform: "linux-arm64",
      actualVersion: "1.0.0",
      lastState: JobState.DOWNLOADING,
    }),
  });
  const { short, happened, untouched, toDo } = explainFailure(job, "web-1");
  // The time of day is that of whoever reads.
  const told = happened.replace(/ at \d{2}:\d{2}(?::\d{2})?/, "");
  return `## \`${JobReason[reason].toLowerCase()}\`: ${short}\n\n${told}\n\n${untouched}\n\n**What to do:** ${toDo}\n`;
}
