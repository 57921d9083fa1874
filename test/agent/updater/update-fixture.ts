import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PlatformOptions } from "../../../agent/updater/binary-platform.ts";
import { createLinuxPlatform } from "../../../agent/updater/linux-platform.ts";
import { createTrustFile } from "../../../agent/updater/trust-file.ts";
import { openTrustStore } from "../../../agent/updater/trust-store.ts";
import { UpdateError } from "../../../agent/updater/update-error.ts";
import { updatePaths, type UpdatePaths } from "../../../agent/updater/update-paths.ts";
import type { Artifact, SwapOrder, UpdatePlatform } from "../../../agent/updater/update-platform.ts";
import { TEST_PUBLISHER } from "../../support/test-release.ts";
import { buildVersionElf } from "../../support/tiny-elf.ts";
import { realClock } from "./real-clock.ts";

/** *Units*: bytes of a block in these tests. */
export const BLOCK_BYTES = 64 * 1024;

/** The job that these tests update for. */
export const JOB_ID = "0b5ad7e2-4c56-4e2b-9d3e-2b9d3c6f1a10";

/** A host's files, with version 1.0.0 installed. */
export interface UpdateFixture extends AsyncDisposable {
  readonly root: string;
  readonly paths: UpdatePaths;
  readonly oldBytes: Buffer;
  readonly newBytes: Buffer;
  /** Describes `newBytes` as version 2.0.0. */
  readonly artifact: Artifact;
  /** Those of `newBytes`. */
  readonly blockDigests: readonly Buffer[];
  /** A platform as a process that starts now has it. */
  platform(changes?: Partial<PlatformOptions>): UpdatePlatform;
}

/** Installs 1.0.0 below a fresh folder, or below `parent`. */
export async function createUpdateFixture(parent?: string): Promise<UpdateFixture> {
  const root = parent ?? (await realpath(await mkdtemp(join(tmpdir(), "rollcall-updater-"))));
  const paths = updatePaths(join(root, "bin", "agent"), join(root, "state"));
  await mkdir(paths.folder, { mode: 0o700 });
  await mkdir(paths.stateDir, { mode: 0o700 });
  const oldBytes = buildVersionElf("1.0.0", 300_000);
  const newBytes = buildVersionElf("2.0.0", 400_000);
  await writeFile(paths.binary, oldBytes, { mode: 0o755 });
  const base = {
    binaryPath: paths.binary,
    stateDir: paths.stateDir,
    configPath: join(root, "agent.json"),
    ownVersion: "1.0.0",
    trust: await openTrustStore(createTrustFile(paths), {
      roots: TEST_PUBLISHER.rootKeys,
      sequence: 0,
      keysSequence: 0,
    }),
    clock: realClock,
  };
  return {
    root,
    paths,
    oldBytes,
    newBytes,
    artifact: describeArtifact(newBytes, "2.0.0"),
    blockDigests: digestsOf(newBytes),
    platform: (changes) => createLinuxPlatform({ ...base, ...changes }),
    [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }),
  };
}

/** What a manifest says of these bytes. */
export function describeArtifact(bytes: Uint8Array, version: string): Artifact {
  return {
    version,
    platform: "linux-x64",
    sizeBytes: bytes.length,
    sha256: sha256(bytes),
    blockSizeBytes: BLOCK_BYTES,
  };
}

/** The blocks of a file. */
export function blocksOf(bytes: Buffer, blockSizeBytes = BLOCK_BYTES): readonly Buffer[] {
  const count = Math.ceil(bytes.length / blockSizeBytes);
  return Array.from({ length: count }, (_, index) =>
    bytes.subarray(index * blockSizeBytes, (index + 1) * blockSizeBytes),
  );
}

/** sha256 of each block of a file. */
export function digestsOf(bytes: Buffer, blockSizeBytes = BLOCK_BYTES): readonly Buffer[] {
  return blocksOf(bytes, blockSizeBytes).map((block) => createHash("sha256").update(block).digest());
}

/** Lower-case hex. */
export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Writes the blocks of `bytes` that a stage for `artifact` lacks, and completes it. */
export async function stageBytes(platform: UpdatePlatform, artifact: Artifact, bytes: Buffer): Promise<void> {
  const stage = await platform.openStage(artifact, digestsOf(bytes, artifact.blockSizeBytes));
  for (const [index, block] of blocksOf(bytes, artifact.blockSizeBytes).entries()) {
    if (!stage.present.includes(index)) await stage.write(index, block);
  }
  await stage.complete();
  await stage.untilDurable();
}

/** A committed swap from 1.0.0 to 2.0.0. */
export function swapOrder(changes?: Partial<SwapOrder>): SwapOrder {
  return {
    jobId: JOB_ID,
    fromVersion: "1.0.0",
    toVersion: "2.0.0",
    sequence: 7,
    isStillAllowed: () => true,
    ...changes,
  };
}

/** The UpdateError that `work` ends with. Throws Error when it ends any other way. */
export async function failureOf(work: Promise<unknown>): Promise<UpdateError> {
  const error = await work.then(
    () => new Error("it succeeded"),
    (reason: unknown) => reason,
  );
  if (error instanceof UpdateError) return error;
  throw new Error("expected an UpdateError", { cause: error });
}

/** A file's sha256; `undefined` when there is none. */
export async function digestOf(path: string): Promise<string | undefined> {
  return readFile(path).then(sha256, () => undefined);
}
