/** Where the job of this process stands, and how that is told. */
import { create } from "@bufbuild/protobuf";
import {
  ActiveJobSchema,
  UpdatePhase,
  UpdateProgressSchema,
  type ActiveJob,
  type CommandUpdate,
  type CommitUpdate,
  type UpdateProgress,
} from "../../gen/rollcall/v1/agent_pb.js";

/** One job under way. */
export interface RunningJob {
  readonly command: CommandUpdate;
  /** Aborted when the job was called off. */
  readonly dropped: AbortController;
  /** Aborted when the commit came. */
  readonly committed: AbortController;
}

/** The states of update-runner.ts; each holds what is valid in it alone. */
export type JobState =
  | { readonly kind: "idle" }
  | { readonly kind: "preparing"; readonly job: RunningJob }
  | { readonly kind: "downloading"; readonly job: RunningJob; readonly bytesDone: number; readonly bytesTotal: number }
  | { readonly kind: "staged" | "restarting"; readonly job: RunningJob; readonly bytesTotal: number };

const PHASES = {
  downloading: UpdatePhase.DOWNLOADING,
  staged: UpdatePhase.STAGED,
  restarting: UpdatePhase.RESTARTING,
} as const;

/**
 * The job as Hello names it.
 *
 * *Shape*: `undefined` also while it is prepared: the server then sends its command again, which is harmless.
 */
export function activeJobOf(state: JobState): ActiveJob | undefined {
  if (state.kind === "idle" || state.kind === "preparing") return undefined;
  const { jobId, manifestSha256 } = state.job.command;
  return create(ActiveJobSchema, { jobId, phase: PHASES[state.kind], manifestSha256 });
}

/** Why a commit of this session is not the one that is waited for. *Shape*: `undefined` when it is. */
export function findCommitProblem(state: JobState, commit: CommitUpdate, sessionEpoch: bigint): string | undefined {
  if (state.kind !== "staged") return `nothing waits for a commit (${state.kind})`;
  const { jobId, manifestSha256 } = state.job.command;
  if (commit.jobId !== jobId) return "another job is staged";
  if (!Buffer.from(commit.manifestSha256).equals(manifestSha256)) return "another manifest is staged";
  return commit.sessionEpoch === sessionEpoch ? undefined : "it is of another session";
}

/** The job as a report. *Shape*: `undefined` while there is nothing to report. */
export function progressOf(state: JobState): UpdateProgress | undefined {
  if (state.kind === "idle" || state.kind === "preparing") return undefined;
  const bytesDone = state.kind === "downloading" ? state.bytesDone : state.bytesTotal;
  return create(UpdateProgressSchema, {
    jobId: state.job.command.jobId,
    phase: PHASES[state.kind],
    bytesDone: BigInt(bytesDone),
    bytesTotal: BigInt(state.bytesTotal),
  });
}
