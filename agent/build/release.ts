/** Puts a release together: artifacts, block lists, manifest and signatures, all of it or none. */
import { hash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { decodeManifest, encodeManifest } from "../../gen/manifest.ts";
import {
  ManifestArtifactSchema,
  ManifestSchema,
  type Manifest,
  type ManifestArtifact,
} from "../../gen/rollcall/v1/release_pb.js";
import { AGENT_PACKAGE } from "../own-version.ts";
import { buildExecutable, bundleAgent } from "./executable.ts";
import { readInstallRevision } from "./install-revision.ts";
import { prepareNodeBinary, type NodeBinary } from "./node-binary.ts";
import { refuseForeignRoots, signManifest, writeRoots, type Publisher } from "./publisher.ts";
import type { Target } from "./target.ts";

/** *Units*: bytes. */
const BLOCK_SIZE_BYTES = 64 * 1024;

/** What to build. */
export interface ReleaseOrder {
  /** The checkout. */
  readonly root: string;
  /** Holds one folder a version. */
  readonly releasesDir: string;
  readonly version: string;
  readonly targets: readonly Target[];
  readonly publisher: Publisher;
  /** Rises with each release; chosen after its siblings when absent. */
  readonly sequence: number | undefined;
  /** Hosts whose floor is at most this may go back to this release; 0 for none. */
  readonly permittedFloor: number;
  /** The sources' time, not the build's: the same sources give the same bytes. */
  readonly createdAt: Date;
}

/** What was built. */
export interface BuiltRelease {
  readonly path: string;
  readonly sequence: number;
  /** Programs whose absence made artifacts larger than they had to be. */
  readonly missingStrips: readonly string[];
}

/** Builds a release in `<releasesDir>/<version>`, replacing one of that version. */
export async function buildRelease(order: ReleaseOrder): Promise<BuiltRelease> {
  const { root, releasesDir, version, publisher, createdAt } = order;
  await mkdir(releasesDir, { recursive: true });
  await refuseForeignRoots(releasesDir, publisher.folder);
  const workDir = await mkdtemp(join(releasesDir, ".build-"));
  try {
    // First whatever can be refused before work is done.
    const nodes: NodeBinary[] = [];
    for (const target of order.targets) nodes.push(await prepareNodeBinary(root, target));
    const sequence = await chooseSequence(order);
    const installRevision = await readInstallRevision(root);
    const stagedDir = join(workDir, "release");
    await mkdir(stagedDir);
    const { roots, keySet } = publisher.folder;
    await bundleAgent(root, { version, sequence, roots, keysSequence: Number(keySet.sequence) }, workDir);
    const artifacts: ManifestArtifact[] = [];
    for (const node of nodes) artifacts.push(await buildArtifact(root, node, workDir, stagedDir));
    const manifest = encodeManifest(describeRelease(order, artifacts, { sequence, installRevision }));
    await writeFile(join(stagedDir, "manifest.json"), manifest);
    await writeSignatures(stagedDir, publisher, manifest, createdAt);
    await writeRoots(releasesDir, publisher.folder, workDir);
    const path = await publish(order, workDir, stagedDir);
    return { path, sequence, missingStrips: nodes.flatMap(({ missingStrip }) => missingStrip ?? []) };
  } finally {
    await rm(workDir, { recursive: true, force: true });
  }
}

async function buildArtifact(
  root: string,
  node: NodeBinary,
  workDir: string,
  stagedDir: string,
): Promise<ManifestArtifact> {
  const { target } = node;
  const fileName = `${AGENT_PACKAGE}${target.fileEnding}`;
  const path = join(stagedDir, target.platform, fileName);
  await mkdir(join(stagedDir, target.platform));
  await buildExecutable(root, node, workDir, path);
  const artifact = await readFile(path);
  const blockList = listBlocks(artifact);
  await writeFile(`${path}.blocks`, blockList);
  return create(ManifestArtifactSchema, {
    platform: target.platform,
    fileName,
    sizeBytes: BigInt(artifact.length),
    sha256: hash("sha256", artifact, "hex"),
    blockSizeBytes: BLOCK_SIZE_BYTES,
    blockListSha256: hash("sha256", blockList, "hex"),
  });
}

async function writeSignatures(
  stagedDir: string,
  { folder, signingKey }: Publisher,
  manifest: Buffer,
  createdAt: Date,
): Promise<void> {
  await writeFile(join(stagedDir, "keys.json"), folder.keys);
  await writeFile(join(stagedDir, "keys.json.minisig"), folder.keysSignature);
  if (signingKey === undefined) return;
  const signature = signManifest(signingKey, folder, manifest, createdAt);
  await writeFile(join(stagedDir, "manifest.json.minisig"), signature);
}

/** sha256 of each block, one after another. */
export function listBlocks(artifact: Buffer): Buffer {
  const digests: Buffer[] = [];
  for (let start = 0; start < artifact.length; start += BLOCK_SIZE_BYTES) {
    digests.push(hash("sha256", artifact.subarray(start, start + BLOCK_SIZE_BYTES), "buffer"));
  }
  return Buffer.concat(digests);
}

function describeRelease(
  order: ReleaseOrder,
  artifacts: ManifestArtifact[],
  { sequence, installRevision }: { readonly sequence: number; readonly installRevision: number },
): Manifest {
  return create(ManifestSchema, {
    format: 1,
    product: AGENT_PACKAGE,
    version: order.version,
    sequence: BigInt(sequence),
    createdAt: timestampFromDate(order.createdAt),
    artifacts,
    permittedFloor: BigInt(order.permittedFloor),
    installRevision,
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
