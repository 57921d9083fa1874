import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { ServerMessageSchema, type ServerAccessSchema, type ServerMessage } from "../../gen/rollcall/v1/agent_pb.js";
import type { SessionEpoch } from "../domain/ids.ts";
import type { Job } from "../domain/job.ts";

/** The answer to a Hello. */
export function welcome(fields: {
  readonly serverVersion: string;
  readonly epoch: SessionEpoch;
  readonly heartbeatIntervalMs: number;
  readonly targetVersion: string | undefined;
  readonly nextCredential: string | undefined;
  readonly access: MessageInitShape<typeof ServerAccessSchema>;
}): ServerMessage {
  return create(ServerMessageSchema, {
    message: {
      case: "welcome",
      value: {
        serverVersion: fields.serverVersion,
        sessionEpoch: fields.epoch,
        heartbeatIntervalMs: fields.heartbeatIntervalMs,
        targetVersion: fields.targetVersion ?? "",
        nextCredential: fields.nextCredential ?? "",
        access: fields.access,
      },
    },
  });
}

/** Stage this release. */
export function commandUpdate(job: Job): ServerMessage {
  return create(ServerMessageSchema, {
    message: {
      case: "commandUpdate",
      value: {
        jobId: job.id,
        package: job.package,
        fromVersion: job.fromVersion,
        toVersion: job.toVersion,
        manifestSha256: job.manifestSha256,
      },
    },
  });
}

/** Swap now. Void on any session but this one. */
export function commitUpdate(job: Job, epoch: SessionEpoch): ServerMessage {
  return create(ServerMessageSchema, {
    message: {
      case: "commitUpdate",
      value: { jobId: job.id, manifestSha256: job.manifestSha256, sessionEpoch: epoch },
    },
  });
}

/** Drop what is staged for this job. */
export function cancelUpdate(jobId: string): ServerMessage {
  return create(ServerMessageSchema, { message: { case: "cancelUpdate", value: { jobId } } });
}
