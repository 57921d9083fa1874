/**
 * One start of an agent that has nothing to do but update itself: it settles
 * what was before, confirms it if it must, and runs the updater's own code over
 * the artifact it is given. Prints one JSON line for each thing it learned.
 *
 * Exit status: 0 done, 3 the update failed for a reason that the server knows,
 * 4 the disk refused to confirm the last one.
 */
import { readFile } from "node:fs/promises";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { endStage, isWorthLeaving } from "../../agent/updater/leftover.ts";
import { createLinuxPlatform } from "../../agent/updater/linux-platform.ts";
import { systemErrorCode } from "../../agent/updater/system-error.ts";
import { createTrustFile } from "../../agent/updater/trust-file.ts";
import { openTrustStore, type TrustStore } from "../../agent/updater/trust-store.ts";
import { UpdateError } from "../../agent/updater/update-error.ts";
import { updatePaths } from "../../agent/updater/update-paths.ts";
import type { UpdatePlatform } from "../../agent/updater/update-platform.ts";
import { TEST_PUBLISHER } from "../support/test-release.ts";
import { blocksOf, digestsOf } from "../agent/updater/update-fixture.ts";
import { updateBadly } from "./broken-updater.ts";
import type { HarnessOrder } from "./harness-order.ts";

const SILENT = { info: () => undefined, warn: () => undefined, error: () => undefined };

async function main(order: HarnessOrder): Promise<void> {
  const delay = monitorEventLoopDelay({ resolution: 10 });
  delay.enable();
  const trust = await openTrustStore(createTrustFile(updatePaths(order.binaryPath, order.stateDir)), {
    roots: TEST_PUBLISHER.rootKeys,
    sequence: 0,
    keysSequence: 0,
  });
  const platform = createLinuxPlatform({
    ...order,
    trust,
    clock: { monotonicMs: () => performance.now(), sleep: (delayMs, signal) => sleep(delayMs, undefined, { signal }) },
  });
  const settlement = await platform.settle();
  say({ event: "settled", settlement });
  if (settlement.kind === "unconfirmed" && !(await confirm(platform, settlement.jobId))) return;
  if (order.isConfirmOnly === true) return;
  const bytes = await readFile(order.artifactPath);
  if (order.flaw === undefined) await update(platform, trust, order, bytes);
  else await updateBadly(order.flaw, order, bytes);
  say({ event: "swapped", longestStallMs: Math.round(delay.max / 1e6) });
}

async function confirm(platform: UpdatePlatform, jobId: string): Promise<boolean> {
  try {
    say({ event: "confirmed", isConfirmed: await platform.confirm(jobId) });
    return true;
  } catch (error) {
    say({ event: "not confirmed", errorCode: systemErrorCode(error) });
    process.exitCode = 4;
    return false;
  }
}

async function update(platform: UpdatePlatform, trust: TrustStore, order: HarnessOrder, bytes: Buffer): Promise<void> {
  const { artifact, jobId, ownVersion: fromVersion } = order;
  try {
    await trust.acceptKeys(TEST_PUBLISHER.keySet);
    await platform.preflight(artifact, 0);
    const stage = await platform.openStage(artifact, digestsOf(bytes));
    const missing = [...blocksOf(bytes).entries()].filter(([index]) => !stage.present.includes(index));
    say({ event: "opened", missing: missing.map(([index]) => index) });
    for (const [index, block] of missing) await stage.write(index, block);
    await stage.complete();
    await Promise.all([platform.probe(artifact, new AbortController().signal), stage.untilDurable()]);
    await platform.swap(artifact, {
      jobId,
      fromVersion,
      toVersion: artifact.version,
      sequence: 2,
      isStillAllowed: () => true,
    });
  } catch (error) {
    if (!(error instanceof UpdateError)) throw error;
    await endStage({ platform, log: SILENT }, isWorthLeaving(error));
    say({ event: "failed", reason: error.reason, errorCode: error.details.errorCode, detail: error.details.detail });
    process.exitCode = 3;
    throw error;
  }
}

function say(line: object): void {
  console.log(JSON.stringify(line));
}

await main(JSON.parse(process.argv[2] ?? "") as HarnessOrder).catch((error: unknown) => {
  if (process.exitCode === 3) return;
  console.error(error);
  process.exitCode = 1;
});
