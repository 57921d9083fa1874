import { readFile, rm, writeFile } from "node:fs/promises";
import { afterAll, describe, expect, it } from "vitest";
import { readJournal, writeJournal } from "../../../agent/updater/journal.ts";
import { decideConfirmed, decideRestored, readVerdict } from "../../../agent/updater/verdict.ts";
import { JobReason } from "../../../gen/rollcall/v1/model_pb.js";
import { findLeaks } from "../updater/leak-check.ts";
import { digestOf, JOB_ID, sha256 } from "../updater/update-fixture.ts";
import { GuardHost } from "./guard-host.ts";

afterAll(async () => expect(await findLeaks("rollcall-updater-")).toEqual([]));

/** The version that stands at the path. */
async function standing({ fixture }: GuardHost): Promise<string> {
  const digest = await digestOf(fixture.paths.binary);
  if (digest === sha256(fixture.newBytes)) return "new";
  return digest === sha256(fixture.oldBytes) ? "old" : "other";
}

describe("crashes of a version that is not confirmed", () => {
  it("the third puts the version before back, which tells of it and stays kept", async () => {
    await using host = await GuardHost.create();
    for (const crashes of [1, 2]) {
      await host.stopped();
      await host.look();
      expect([crashes, await standing(host)]).toEqual([crashes, "new"]);
    }
    await host.stopped();
    await host.look();
    expect(await standing(host)).toBe("old");
    expect(await digestOf(host.fixture.paths.old)).toBe(sha256(host.fixture.oldBytes));
    expect(await host.fixture.platform().settle()).toMatchObject({
      kind: "ended",
      outcome: "rolledBack",
      reason: JobReason.CRASHED,
    });
  });

  it("count for their own update alone", async () => {
    await using host = await GuardHost.create();
    await host.stopped();
    await host.stopped();
    const journal = await readJournal(host.fixture.paths);
    if (journal === undefined) throw new Error("there is a journal");
    await writeJournal(host.fixture.paths, { ...journal, jobId: "another-job" });
    await host.stopped();
    expect(await readVerdict(host.fixture.paths, "another-job")).toBeUndefined();
  });

  it("do not count once it is confirmed, and nothing is put back then", async () => {
    await using host = await GuardHost.create();
    await decideConfirmed(host.fixture.paths, JOB_ID);
    for (let crash = 0; crash < 4; crash += 1) await host.stopped();
    await host.look();
    expect(await standing(host)).toBe("new");
    expect(host.asked).toEqual([]);
  });
});

describe("a watch", () => {
  it("ends a version that is not confirmed within 45 s but reaches the server, after a second look", async () => {
    await using host = await GuardHost.create();
    await host.watch();
    expect(await readVerdict(host.fixture.paths, JOB_ID)).toMatchObject({
      decision: "restored",
      reason: "not_confirmed",
    });
    expect(host.clock.monotonicMs()).toBeGreaterThanOrEqual(55_000);
    expect(host.asked).toEqual(["end"]);
    await host.look();
    expect(await standing(host)).toBe("old");
  });

  it("tells when only the version before reaches the server", async () => {
    await using host = await GuardHost.create();
    host.isServerReachedByNew = () => false;
    await host.watch();
    expect(await readVerdict(host.fixture.paths, JOB_ID)).toMatchObject({ reason: "server_unreachable" });
  });

  it("leaves the new version alone while nobody reaches the server, and gives it its time again afterwards", async () => {
    await using host = await GuardHost.create();
    let backAtMs = 0;
    host.isServerReached = () => {
      if (backAtMs === 0 && host.clock.monotonicMs() > 200_000) backAtMs = host.clock.monotonicMs();
      return backAtMs > 0;
    };
    await host.watch();
    expect(host.clock.monotonicMs() - backAtMs).toBeGreaterThanOrEqual(55_000);
    expect(host.log.events.filter(({ event }) => event === "guard_server_unreachable")).toHaveLength(1);
  });

  it("ends when the update is confirmed, at the last moment too", async () => {
    for (const confirmedAtSecond of [3, 50]) {
      await using host = await GuardHost.create();
      await host.watch(async (second) => {
        if (second === confirmedAtSecond) await host.fixture.platform().confirm(JOB_ID);
      });
      expect(host.asked).toEqual([]);
      expect(await readVerdict(host.fixture.paths, JOB_ID)).toMatchObject({ decision: "confirmed" });
    }
  });

  it("ends the new version where the third crash decided meanwhile", async () => {
    await using host = await GuardHost.create();
    await host.watch(async (second) => {
      if (second === 3) await decideRestored(host.fixture.paths, JOB_ID, "crashed");
    });
    expect(host.asked).toEqual(["end"]);
  });

  it("never ends the version before", async () => {
    await using host = await GuardHost.create();
    await host.watch(async (second) => {
      if (second !== 3) return;
      await decideRestored(host.fixture.paths, JOB_ID, "crashed");
      await host.look();
    });
    expect(host.asked).toEqual([]);
  });
});

describe("a look", () => {
  it("sets a watch on what is not decided", async () => {
    await using host = await GuardHost.create();
    await host.look();
    expect(host.asked).toEqual(["watch"]);
    expect(await standing(host)).toBe("new");
  });

  it("sets a watch where the system refuses to put it back, and goes on from there the next time", async () => {
    await using host = await GuardHost.create();
    const { paths } = host.fixture;
    await decideRestored(paths, JOB_ID, "crashed");
    await rm(paths.old);
    await host.look();
    expect([await standing(host), host.asked]).toEqual(["new", []]);
    await writeFile(paths.old, host.fixture.oldBytes);
    await writeFile(`${paths.restored}`, "left by a look that was killed");
    await host.look();
    expect(await standing(host)).toBe("old");
  });

  it("tidies once the update has ended", async () => {
    await using host = await GuardHost.create();
    await host.stopped();
    await host.fixture.platform().confirm(JOB_ID);
    await host.look();
    await expect(readFile(host.fixture.paths.guardRecord)).rejects.toThrow("ENOENT");
  });
});

it.each([
  ["the binary is neither version", "binary"],
  ["the version before is not what was kept", "old"],
] as const)("nothing is decided while %s", async (_name, file) => {
  await using host = await GuardHost.create();
  await writeFile(host.fixture.paths[file], "somebody else's");
  for (let crash = 0; crash < 3; crash += 1) await host.stopped();
  await host.watch();
  expect(await readVerdict(host.fixture.paths, JOB_ID)).toBeUndefined();
  expect(host.log.events.map(({ event }) => event)).toContain("guard_gave_up");
  expect(host.asked).toEqual([]);
});
