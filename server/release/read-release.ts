/** Reads a release from its folder and checks that its files are what its manifest says. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { decodeManifest } from "../../gen/manifest.ts";
import type { ManifestArtifact } from "../../gen/rollcall/v1/release_pb.js";
import { digestArtifact } from "./digest-artifact.ts";

/** A release whose files hold what its manifest says. */
export interface CheckedRelease {
  readonly package: string;
  readonly version: string;
  readonly sequence: number;
  readonly manifest: Buffer;
  readonly manifestSha256: Buffer;
  readonly signature: Buffer;
  readonly artifacts: readonly CheckedArtifact[];
}

/** One artifact of it. */
export interface CheckedArtifact {
  readonly platform: string;
  readonly fileName: string;
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly blockSizeBytes: number;
  readonly blockList: Buffer;
}

/**
 * Reads the release in `<releasesDir>/<version>`.
 *
 * *Throws* Error that names the file and what is wrong with it.
 */
export async function readRelease(releasesDir: string, version: string): Promise<CheckedRelease> {
  const folder = join(releasesDir, version);
  const manifestPath = join(folder, "manifest.json");
  const bytes = await readFile(manifestPath);
  const manifest = decodeManifest(bytes);
  if (manifest.version !== version) {
    throw new Error(`${manifestPath} is the manifest of ${manifest.version}, not of ${version}`);
  }
  const artifacts: CheckedArtifact[] = [];
  for (const artifact of manifest.artifacts) artifacts.push(await checkArtifact(folder, artifact));
  return {
    package: manifest.product,
    version,
    sequence: Number(manifest.sequence),
    manifest: bytes,
    manifestSha256: createHash("sha256").update(bytes).digest(),
    signature: await readSignature(`${manifestPath}.minisig`),
    artifacts,
  };
}

async function checkArtifact(folder: string, artifact: ManifestArtifact): Promise<CheckedArtifact> {
  const path = join(folder, artifact.platform, artifact.fileName);
  const digest = await digestArtifact(path, artifact.blockSizeBytes);
  if (digest.sizeBytes !== Number(artifact.sizeBytes)) {
    throw new Error(`${path} has ${digest.sizeBytes} bytes; its manifest says ${artifact.sizeBytes}`);
  }
  if (digest.sha256 !== artifact.sha256) {
    throw new Error(`${path} has the sha256 ${digest.sha256}; its manifest says ${artifact.sha256}`);
  }
  const blockListSha256 = createHash("sha256").update(digest.blockList).digest("hex");
  if (blockListSha256 !== artifact.blockListSha256) {
    throw new Error(`the block list of ${path} has another sha256 than its manifest says`);
  }
  return {
    platform: artifact.platform,
    fileName: artifact.fileName,
    sizeBytes: digest.sizeBytes,
    sha256: digest.sha256,
    blockSizeBytes: artifact.blockSizeBytes,
    blockList: digest.blockList,
  };
}

async function readSignature(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return Buffer.alloc(0);
    throw error;
  }
}
