/** From a command to a binary that is whole, verified, probed and not yet in place. */
import { isVersion } from "../../gen/version.ts";
import type { CommandUpdate } from "../../gen/rollcall/v1/agent_pb.js";
import { JobReason } from "../../gen/rollcall/v1/model_pb.js";
import { checkRelease, type CheckedRelease } from "./check-release.ts";
import { fetchBlocks } from "./fetch-blocks.ts";
import { fetchPersistently, type FetchContext } from "./fetch-release.ts";
import { oneLine } from "./one-line.ts";
import type { TrustStore } from "./trust-store.ts";
import { UpdateError } from "./update-error.ts";
import type { UpdatePlatform } from "./update-platform.ts";

/** What staging works with. */
export interface StageContext extends FetchContext {
  readonly platform: UpdatePlatform;
  readonly trust: TrustStore;
  readonly ownPackage: string;
  readonly ownVersion: string;
  /** *Units*: bytes to leave free on the disk. */
  readonly reserveBytes: number;
  /** Called once preflight has passed, then as bytes arrive. */
  readonly onBytesDone: (bytesDone: number, bytesTotal: number) => void;
}

/**
 * Stages the release that a command names. Nothing that runs is touched.
 *
 * *Throws* UpdateError; the signal's reason. What was staged is the caller's to leave or discard then.
 */
export async function stageRelease(command: CommandUpdate, context: StageContext): Promise<CheckedRelease> {
  const { platform, signal } = context;
  checkCommand(command, context);
  const delivered = await fetchPersistently(context, (delivery, _advanced, until) =>
    delivery.fetchManifest(command.jobId, until),
  );
  const release = await checkRelease(command, delivered, platform.name, context.trust);
  signal.throwIfAborted();
  await platform.preflight(release.artifact, context.reserveBytes);
  signal.throwIfAborted();
  const { sizeBytes } = release.artifact;
  context.onBytesDone(0, sizeBytes);
  const expected = await platform.expectBlocks(release.artifact, release.blockDigests);
  const opening = platform.openStage(release.artifact, release.blockDigests);
  try {
    await fetchBlocks(command.jobId, release, { opening, expected }, context, (bytesDone) =>
      context.onBytesDone(bytesDone, sizeBytes),
    );
  } finally {
    // Whoever drops the stage must find it open or not at all.
    await opening.catch(() => undefined);
  }
  const stage = await opening;
  await stage.complete();
  signal.throwIfAborted();
  await Promise.all([platform.probe(release.artifact, signal), stage.untilDurable()]);
  signal.throwIfAborted();
  return release;
}

function checkCommand(command: CommandUpdate, context: StageContext): void {
  if (command.package !== context.ownPackage) {
    const detail = oneLine(`this agent updates ${context.ownPackage} only, not ${command.package}`, 500);
    throw new UpdateError(JobReason.DOWNLOAD_FAILED, { detail });
  }
  if (command.fromVersion !== context.ownVersion || !isVersion(command.toVersion)) {
    throw new UpdateError(JobReason.WRONG_VERSION, {
      expectedVersion: command.fromVersion,
      actualVersion: context.ownVersion,
      detail: oneLine(
        `the job updates ${command.fromVersion} to ${command.toVersion}, but ${context.ownVersion} runs here`,
        500,
      ),
    });
  }
}
