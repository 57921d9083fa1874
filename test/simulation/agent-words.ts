/** What an agent says, as messages. */
import { create } from "@bufbuild/protobuf";
import {
  HelloSchema,
  LastUpdate_Outcome,
  UpdatePhase,
  UpdateProgressSchema,
  type Hello,
  type UpdateProgress,
} from "../../gen/rollcall/v1/agent_pb.js";
import type { JobReason } from "../../gen/rollcall/v1/model_pb.js";

/** How the last update of a host ended. */
export interface Ending {
  readonly jobId: string;
  readonly outcome: "succeeded" | "failed" | "rolled back";
  readonly reason: JobReason;
}

/** The job that a process works on, as it tells of it. */
export interface ToldJob {
  readonly jobId: string;
  readonly phase: "downloading" | "staged" | "restarting";
  readonly partsDone: number;
  readonly parts: number;
}

const PHASES = {
  downloading: UpdatePhase.DOWNLOADING,
  staged: UpdatePhase.STAGED,
  restarting: UpdatePhase.RESTARTING,
} as const;

const OUTCOMES = {
  succeeded: LastUpdate_Outcome.SUCCEEDED,
  failed: LastUpdate_Outcome.FAILED,
  "rolled back": LastUpdate_Outcome.ROLLED_BACK,
} as const;

export function helloOf(facts: {
  readonly version: string;
  readonly hostname: string;
  readonly arch: string;
  readonly instanceId: string;
  readonly job: ToldJob | undefined;
  readonly ending: Ending | undefined;
}): Hello {
  const { job, ending } = facts;
  return create(HelloSchema, {
    agentVersion: facts.version,
    protocolVersion: 1,
    os: "linux",
    arch: facts.arch,
    hostname: facts.hostname,
    instanceId: facts.instanceId,
    ...(job && { activeJob: { jobId: job.jobId, phase: PHASES[job.phase] } }),
    ...(ending && {
      lastUpdate: { jobId: ending.jobId, outcome: OUTCOMES[ending.outcome], reason: ending.reason },
    }),
  });
}

export function progressOf(job: ToldJob): UpdateProgress {
  return create(UpdateProgressSchema, {
    jobId: job.jobId,
    phase: PHASES[job.phase],
    bytesDone: BigInt(job.partsDone),
    bytesTotal: BigInt(job.parts),
  });
}

export function failureOf(jobId: string, reason: JobReason): UpdateProgress {
  return create(UpdateProgressSchema, { jobId, phase: UpdatePhase.FAILED, reason });
}
