import { JobReason } from "../../gen/rollcall/v1/model_pb.js";
import type { FileDigest } from "./file-digest.ts";
import { printablePath } from "./one-line.ts";
import { readProgramPlatform } from "./program-header.ts";
import { UpdateError } from "./update-error.ts";
import type { Artifact } from "./update-platform.ts";

/** *Throws* UpdateError unless a file is the artifact (digest_mismatch) and a program for `platform` (preflight_wrong_platform). */
export function checkStagedFile(stagedPath: string, platform: string, artifact: Artifact, actual: FileDigest): void {
  const path = printablePath(stagedPath);
  if (actual.sizeBytes !== artifact.sizeBytes || actual.sha256 !== artifact.sha256) {
    const detail = `the file has ${actual.sizeBytes} bytes of ${artifact.sizeBytes} and sha256 ${actual.sha256}`;
    throw new UpdateError(JobReason.DIGEST_MISMATCH, {
      path,
      expectedSha256: artifact.sha256,
      actualSha256: actual.sha256,
      detail,
    });
  }
  const artifactPlatform = readProgramPlatform(actual.head);
  if (artifactPlatform === platform) return;
  const detail =
    artifactPlatform === undefined
      ? `the file is no program for ${platform}`
      : `the file is a ${artifactPlatform} program`;
  throw new UpdateError(JobReason.PREFLIGHT_WRONG_PLATFORM, { path, platform, artifactPlatform, detail });
}
