/**
 * Checks what the server delivers about a release, in the order that trusts
 * nothing before it was checked: whose keys, whose signature over the raw bytes,
 * then what the manifest says against the command, this host and its sequence
 * floor. What passes describes one artifact for this host, block by block.
 */
import { hash } from "node:crypto";
import { countBlocks, decodeManifest, MAX_MANIFEST_BYTES } from "../../gen/manifest.ts";
import type { CommandUpdate, FetchManifestResponse } from "../../gen/rollcall/v1/agent_pb.js";
import { verifyManifest } from "../../gen/release-trust.ts";
import { JobReason } from "../../gen/rollcall/v1/model_pb.js";
import type { Manifest, ManifestArtifact } from "../../gen/rollcall/v1/release_pb.js";
import { oneLine } from "./one-line.ts";
import type { TrustStore } from "./trust-store.ts";
import { UpdateError } from "./update-error.ts";
import type { Artifact } from "./update-platform.ts";

/** A release that is signed by whom this host trusts, and whose block list is the manifest's. */
export interface CheckedRelease {
  readonly artifact: Artifact;
  /** sequence of the manifest. */
  readonly sequence: number;
  /** sha256 of each block, in order. */
  readonly blockDigests: readonly Buffer[];
}

const MAX_ARTIFACT_BYTES = 512 * 1024 * 1024;
/** *Source*: `BlockRange` in agent.proto. */
const MAX_BLOCKS = 8192;
const DIGEST_BYTES = 32;

/**
 * Checks a delivered release. A newer key set that came with it is kept whatever becomes of the rest.
 *
 * *Throws* TrustError: keys_invalid, signature_invalid, key_unknown, key_revoked.
 * UpdateError: keys_invalid, keys_outdated, digest_mismatch, download_failed (no
 * manifest that this agent understands), wrong_version, preflight_wrong_platform,
 * downgrade_refused.
 */
export async function checkRelease(
  command: CommandUpdate,
  delivered: FetchManifestResponse,
  platform: string,
  trust: TrustStore,
): Promise<CheckedRelease> {
  const bytes = delivered.manifest;
  if (bytes.length > MAX_MANIFEST_BYTES)
    throw failed(`the manifest has ${bytes.length} bytes, at most ${MAX_MANIFEST_BYTES} are read`);
  const keySet = await trust.acceptKeys({ bytes: delivered.keys, signature: delivered.keysSignature });
  verifyManifest(bytes, delivered.signature, keySet);
  const manifest = readManifest(command, bytes);
  if (manifest.product !== command.package) {
    throw failed(`the release is one of ${manifest.product}, not of ${command.package}`);
  }
  if (manifest.version !== command.toVersion) {
    throw new UpdateError(JobReason.WRONG_VERSION, {
      expectedVersion: command.toVersion,
      actualVersion: manifest.version,
      detail: `the release is version ${manifest.version}, not ${command.toVersion}`,
    });
  }
  const described = findArtifact(manifest, platform);
  checkSequence(manifest, trust.sequenceFloor);
  const sizeBytes = Number(described.sizeBytes);
  const { blockSizeBytes, sha256 } = described;
  if (sizeBytes > MAX_ARTIFACT_BYTES)
    throw failed(`the artifact has ${sizeBytes} bytes, at most ${MAX_ARTIFACT_BYTES} are taken`);
  const blockCount = countBlocks(sizeBytes, blockSizeBytes);
  if (blockCount > MAX_BLOCKS) throw failed(`the artifact has ${blockCount} blocks, at most ${MAX_BLOCKS} are taken`);
  return {
    artifact: { version: manifest.version, platform, sizeBytes, sha256, blockSizeBytes },
    sequence: Number(manifest.sequence),
    blockDigests: readBlockList(delivered.blockList, blockCount, described.blockListSha256),
  };
}

/** Another release of the same version may be signed as well: it is not the one that the job is about. */
function readManifest(command: CommandUpdate, bytes: Uint8Array): Manifest {
  requireDigest("the manifest", bytes, Buffer.from(command.manifestSha256).toString("hex"));
  try {
    return decodeManifest(bytes);
  } catch (error) {
    throw failed((error as Error).message, error);
  }
}

function findArtifact(manifest: Manifest, platform: string): ManifestArtifact {
  const described = manifest.artifacts.find((artifact) => artifact.platform === platform);
  if (described !== undefined) return described;
  const offered = manifest.artifacts.map((artifact) => artifact.platform);
  throw new UpdateError(JobReason.PREFLIGHT_WRONG_PLATFORM, {
    platform,
    artifactPlatform: offered[0],
    detail: oneLine(`the release has no artifact for ${platform}, only for ${offered.join(", ")}`, 500),
  });
}

/** A lower sequence needs a permission that was signed with the release and speaks of this host's floor. */
function checkSequence(manifest: Manifest, sequenceFloor: number): void {
  const { version, sequence, permittedFloor } = manifest;
  if (sequence >= sequenceFloor || permittedFloor >= sequenceFloor) return;
  const permission = permittedFloor === 0n ? "" : ` and its permission to go back ends at sequence ${permittedFloor}`;
  throw new UpdateError(JobReason.DOWNGRADE_REFUSED, {
    expectedVersion: version,
    detail: `release ${version} has sequence ${sequence}, this host takes none below ${sequenceFloor}${permission}`,
  });
}

function readBlockList(list: Uint8Array, blockCount: number, expectedSha256: string): readonly Buffer[] {
  if (list.length !== blockCount * DIGEST_BYTES) {
    throw failed(`the block list has ${list.length} bytes, ${blockCount} blocks need ${blockCount * DIGEST_BYTES}`);
  }
  requireDigest("the block list", list, expectedSha256);
  // A copy, since the list is a view of the message that brought it.
  const digests = Buffer.from(list);
  return Array.from({ length: blockCount }, (_, index) =>
    digests.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES),
  );
}

function requireDigest(what: string, bytes: Uint8Array, expectedSha256: string): void {
  const actualSha256 = hash("sha256", bytes, "hex");
  if (actualSha256 === expectedSha256) return;
  throw new UpdateError(JobReason.DIGEST_MISMATCH, {
    expectedSha256,
    actualSha256,
    detail: `${what} does not have the sha256 that was announced`,
  });
}

function failed(sentence: string, cause?: unknown): UpdateError {
  return new UpdateError(JobReason.DOWNLOAD_FAILED, { detail: oneLine(sentence, 500) }, cause);
}
