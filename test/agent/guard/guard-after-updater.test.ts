/**
 * The updater, killed before each of its calls on a host that an earlier update
 * left an `.old` and a verdict; then the guard, as after the third crash. It may
 * only ever bring back the version that this very update replaced.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseJournal } from "../../../agent/updater/journal.ts";
import { planPoints, type PrepareCase } from "../../faults/campaign.ts";
import { run, runWithFault, type TracedCall } from "../../faults/strace-plan.ts";
import { explainMissingTools } from "../../faults/system-tools.ts";
import { createUpdaterKit, prepareUpdaterHost, type UpdaterKit } from "../../faults/updater-host.ts";
import { digestOf } from "../updater/update-fixture.ts";
import { findLeaks } from "../updater/leak-check.ts";
import { GUARD } from "./guard-host.ts";

/** Most of a case is the pause after a crash. */
const LANES = 10;
const reasonToSkip = explainMissingTools("strace");

/** What the guard did after one interruption, and whether it should have. */
async function findProblems(kit: UpdaterKit, point: TracedCall): Promise<readonly string[]> {
  await using fault = await prepareUpdaterHost(kit);
  const { paths } = fault.host;
  const { wasHit } = await runWithFault(fault.subject, point, "kill");
  if (!wasHit) return ["the point was missed"];
  const digests = kit.versions.map(({ artifact }) => artifact.sha256);
  const versionAt = async (path: string): Promise<number> => digests.indexOf((await digestOf(path)) ?? "");
  const before = await versionAt(paths.binary);
  const journal = parseJournal(await readFile(paths.journal, "utf8").catch(() => ""));
  const isAtStake = journal?.state === "unconfirmed" && before === 2;
  const record = `job ${journal?.jobId}\nboot_id ${journal?.bootId}\nsince_ms 0\ncrashes 2\nfinding none\nend\n`;
  await writeFile(join(paths.stateDir, "guard"), record, { mode: 0o600 });
  const guard = [GUARD, "stopped", paths.binary, paths.stateDir, join(fault.root, "agent.json")];
  const end = await run("sh", guard, { EXIT_STATUS: "KILL" });
  const after = await versionAt(paths.binary);
  if (after !== (isAtStake ? 1 : before)) return [`version ${before} became version ${after}: ${end.stderr}`];
  return isAtStake && (await versionAt(paths.old)) !== 1 ? ["`.old` was lost"] : [];
}

describe.skipIf(reasonToSkip !== undefined)(
  `the guard, after an updater that was killed${reasonToSkip === undefined ? "" : ` (skipped: ${reasonToSkip})`}`,
  () => {
    let kit: UpdaterKit;

    beforeAll(async () => {
      kit = await createUpdaterKit();
    });
    afterAll(() => kit[Symbol.asyncDispose]());

    it("brings back the version that the update replaced, or changes nothing", async () => {
      const prepare: PrepareCase = () => prepareUpdaterHost(kit);
      const points = await planPoints(prepare);
      expect(points.length).toBeGreaterThan(35);
      const problems: string[] = [];
      const queue = points.values();
      const lane = async (): Promise<void> => {
        for (const point of queue) {
          const found = await findProblems(kit, point);
          problems.push(...found.map((problem) => `killed at ${point.shown}: ${problem}`));
        }
      };
      await Promise.all(Array.from({ length: LANES }, lane));
      expect(problems).toEqual([]);
    }, 180_000);
  },
);

afterAll(async () => expect(await findLeaks("rollcall-faults-")).toEqual([]));
