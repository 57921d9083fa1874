/**
 * Opens the file that becomes the new binary, with as much of it in place as this
 * host has. In this order, the first that can be had:
 *
 * - what an earlier attempt left, when it holds a block that the running binary does not;
 * - a copy of the running binary, made by the kernel while its blocks are digested, if they are not known yet;
 * - an empty file.
 *
 * Then blocks that stand elsewhere, in that file or in the binary, go to their
 * places. A leftover, which somebody may have changed since, is worth what its bytes
 * are: no block of it counts but by its sha256, and the whole file is digested once
 * more before it runs. Whatever cannot be read or copied here is fetched.
 */
import { constants } from "node:fs";
import { copyFile, open, type FileHandle } from "node:fs/promises";
import type { BlockDigest } from "./block-digests.ts";
import { closeQuietly, openLeftover, type BlockSource } from "./block-source.ts";
import { stageFailure } from "./disk-failure.ts";
import { removeIfPresent, SYNC_ACCESS } from "./durable-file.ts";
import { moveBlocks } from "./move-blocks.ts";
import { isWorthKeeping, planReuse } from "./reuse-plan.ts";
import { StageFile } from "./stage-file.ts";
import { systemErrorCode } from "./system-error.ts";
import type { SystemRules } from "./system-rules.ts";
import type { UpdatePaths } from "./update-paths.ts";
import type { Artifact } from "./update-platform.ts";

const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;

/**
 * Opens a stage for `artifact`, whose blocks are `wanted`. The binary may still be
 * read meanwhile; it is closed in the end.
 *
 * *Throws* UpdateError.
 */
export async function openStage(
  paths: UpdatePaths,
  rules: SystemRules,
  artifact: Artifact,
  wanted: readonly BlockDigest[],
  reading: Promise<BlockSource | undefined>,
): Promise<StageFile> {
  try {
    const found = await openFile(paths, artifact, wanted, reading);
    const stage = new StageFile(paths, rules, artifact, await openReader(paths.staged, found.file));
    await fill(stage, found, await reading, wanted);
    return stage;
  } catch (error) {
    throw await stageFailure(paths.staged, paths.folder, BigInt(artifact.sizeBytes), error);
  } finally {
    await closeQuietly((await reading)?.file);
  }
}

/** Opens a leftover, a copy or an empty file. *Shape*: with what its blocks are, as far as it is known. */
async function openFile(
  paths: UpdatePaths,
  artifact: Artifact,
  wanted: readonly BlockDigest[],
  reading: Promise<BlockSource | undefined>,
): Promise<BlockSource> {
  const leftover = await openLeftover(paths.staged, artifact.blockSizeBytes);
  if (leftover !== undefined && isWorthKeeping(wanted, leftover.digests, (await reading)?.digests ?? [])) {
    return leftover;
  }
  await closeQuietly(leftover?.file);
  await removeIfPresent(paths.staged);
  const copy = await copyBinary(paths);
  if (copy !== undefined) return { file: copy, digests: (await reading)?.digests ?? [] };
  return { file: await open(paths.staged, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o700), digests: [] };
}

/** *Shape*: `undefined` when it could not be copied, as on a disk that has room for the artifact alone. */
async function copyBinary(paths: UpdatePaths): Promise<FileHandle | undefined> {
  try {
    await copyFile(paths.binary, paths.staged, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    return await open(paths.staged, O_RDWR | O_NOFOLLOW);
  } catch (error) {
    if (systemErrorCode(error) === undefined) throw error;
    await removeIfPresent(paths.staged);
    return undefined;
  }
}

async function openReader(
  path: string,
  writer: FileHandle,
): Promise<{ readonly writer: FileHandle; readonly reader: FileHandle }> {
  try {
    // Nobody else may run it before it is whole.
    await writer.chmod(0o700);
    return { writer, reader: await open(path, SYNC_ACCESS | O_NOFOLLOW) };
  } catch (error) {
    await closeQuietly(writer);
    throw error;
  }
}

async function fill(
  stage: StageFile,
  { digests }: BlockSource,
  binary: BlockSource | undefined,
  wanted: readonly BlockDigest[],
): Promise<void> {
  try {
    const plan = planReuse(wanted, digests, binary?.digests ?? []);
    await moveBlocks(stage.reader, stage, plan.withinStage, wanted);
    await stage.adopt(plan.inPlace);
    if (binary !== undefined) await moveBlocks(binary.file, stage, plan.fromBinary, wanted);
  } catch (error) {
    await stage.leave().catch(() => undefined);
    throw error;
  }
}
