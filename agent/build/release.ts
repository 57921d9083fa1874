/** Puts a release together: artifact, block list and manifest, all of it or none. */
import { hash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { decodeManifest, encodeManifest } from "../../gen/manifest.ts";
import { ManifestSchema, type Manifest } from "../../gen/rollcall/v1/release_pb.js";
import { AGENT_PACKAGE } from "../own-version.ts";
import { buildExecutable } from "./executable.ts";
import { prepareNodeBinary } from "./node-binary.ts";

/** *Units*: bytes. */
const BLOCK_SIZE_BYTES = 64 * 1024;

/** What to build. */
export interface ReleaseOrder {
  /** The checkout. */
  readonly root: string;
  /** Holds one folder a version. */
  readonly releasesDir: string;
  readonly version: string;
  readonly platform: "linux-x64";
  /** Rises with each release; chosen after its siblings when absent. */
  readonly sequence: number | undefined;
  /** The sources' time, not the build's: the same sources give the same bytes. */
  readonly createdAt: Date;
}

/** Builds a release in `<releasesDir>/<version>`, replacing one of that version. *Shape*: the path of that folder. */
export async function buildRelease(order: ReleaseOrder): Promise<string> {
  await mkdir(order.releasesDir, { recursive: true });
  const workDir = await mkdtemp(join(order.releasesDir, ".build-"));
  try {
    const stagedDir = join(workDir, "release");
    const platformDir = join(stagedDir, order.platform);
    await mkdir(platformDir, { recursive: true });
    const artifactPath = join(platformDir, AGENT_PACKAGE);
    await buildExecutable(order.root, order.version, await prepareNodeBinary(order.root), workDir, artifactPath);
    const artifact = await readFile(artifactPath);
    const blockList = listBlocks(artifact);
    await writeFile(`${artifactPath}.blocks`, blockList);
    const manifest = describeRelease(order, artifact, blockList, await chooseSequence(order));
    await writeFile(join(stagedDir, "manifest.json"), encodeManifest(manifest));
    return await publish(order, workDir, stagedDir);
  } finally {
    await rm(workDir, { recursive: true, force: true });
  }
}

/** sha256 of each block, one after another. */
export function listBlocks(artifact: Buffer): Buffer {
  const digests: Buffer[] = [];
  for (let start = 0; start < artifact.length; start += BLOCK_SIZE_BYTES) {
    digests.push(hash("sha256", artifact.subarray(start, start + BLOCK_SIZE_BYTES), "buffer"));
  }
  return Buffer.concat(digests);
}

function describeRelease(order: ReleaseOrder, artifact: Buffer, blockList: Buffer, sequence: number): Manifest {
  return create(ManifestSchema, {
    format: 1,
    product: AGENT_PACKAGE,
    version: order.version,
    sequence: BigInt(sequence),
    createdAt: timestampFromDate(order.createdAt),
    artifacts: [
      {
        platform: order.platform,
        fileName: AGENT_PACKAGE,
        sizeBytes: BigInt(artifact.length),
        sha256: hash("sha256", artifact, "hex"),
        blockSizeBytes: BLOCK_SIZE_BYTES,
        blockListSha256: hash("sha256", blockList, "hex"),
      },
    ],
  });
}

/** The sequence that was asked for, that this version has already, or the next after its siblings'. */
async function chooseSequence(order: ReleaseOrder): Promise<number> {
  if (order.sequence !== undefined) return order.sequence;
  let highest = 0;
  for (const name of await readdir(order.releasesDir)) {
    const sequence = await readSequence(join(order.releasesDir, name, "manifest.json"));
    if (name === order.version && sequence > 0) return sequence;
    highest = Math.max(highest, sequence);
  }
  return highest + 1;
}

async function readSequence(path: string): Promise<number> {
  try {
    return Number(decodeManifest(await readFile(path)).sequence);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return 0;
    throw new Error(`${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

/** A folder cannot be renamed over another: for an instant there is none of this version, but never half of one. */
async function publish(order: ReleaseOrder, workDir: string, stagedDir: string): Promise<string> {
  const releaseDir = join(order.releasesDir, order.version);
  try {
    await rename(releaseDir, join(workDir, "replaced"));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  await rename(stagedDir, releaseDir);
  return releaseDir;
}
