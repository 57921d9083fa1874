import { readFile, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { openJobLog, readJobLog } from "../../../agent/updater/job-log.ts";
import { writeJournal, type Journal } from "../../../agent/updater/journal.ts";
import { findLeaks } from "./leak-check.ts";
import { createUpdateFixture, JOB_ID, sha256, type UpdateFixture } from "./update-fixture.ts";

/** A host in an update from 1.0.0 to 2.0.0, as it stands after the swap unless told otherwise. */
async function createHost(changes: Partial<Journal> = {}): Promise<UpdateFixture> {
  const fixture = await createUpdateFixture();
  await writeJournal(fixture.paths, {
    state: "unconfirmed",
    jobId: JOB_ID,
    fromSha256: sha256(fixture.oldBytes),
    toSha256: fixture.artifact.sha256,
    fromVersion: "1.0.0",
    toVersion: "2.0.0",
    sequence: 2,
    bootId: "boot",
    uptimeMs: 1,
    reason: "none",
    ...changes,
  });
  return fixture;
}

describe("what a new version says", () => {
  it("stands on the disk at once, start after start", async () => {
    await using host = await createHost();
    for (const start of ["first", "second"]) {
      using log = await openJobLog(host.paths, "2.0.0");
      log.write(`{"event":"${start}"}\n`);
      expect(await readFile(host.paths.jobLog, "utf8")).toContain(start);
    }
    expect((await readJobLog(host.paths)).toString()).toBe('{"event":"first"}\n{"event":"second"}\n');
    expect((await stat(host.paths.jobLog)).mode & 0o777).toBe(0o600);
  });

  it.each([
    ["once it is confirmed", { state: "confirmed" as const }, "2.0.0"],
    ["of the version before", {}, "1.0.0"],
  ])("is not kept %s", async (_, journal, version) => {
    await using host = await createHost(journal);
    using log = await openJobLog(host.paths, version);
    log.write("said\n");
    expect((await readJobLog(host.paths)).toString()).toBe("");
  });

  it("is told by its last 200 lines, and takes no more of the disk however much it is", async () => {
    await using host = await createHost();
    using log = await openJobLog(host.paths, "2.0.0");
    for (let line = 1; line <= 20_000; line += 1) log.write(`line ${line} of a version that talks\n`);
    const told = (await readJobLog(host.paths)).toString().trimEnd().split("\n");
    expect(told).toHaveLength(200);
    expect([told.at(0), told.at(-1)]).toEqual([
      "line 19801 of a version that talks",
      "line 20000 of a version that talks",
    ]);
    const sizes = await Promise.all([host.paths.jobLog, host.paths.jobLogBefore].map((path) => stat(path)));
    expect(Math.max(...sizes.map(({ size }) => size))).toBeLessThanOrEqual(65_536);
  });

  it("fits into a Hello though its lines are long", async () => {
    await using host = await createHost();
    using log = await openJobLog(host.paths, "2.0.0");
    for (let line = 0; line < 60; line += 1) log.write(`${"\u20ac".repeat(5_000)}\n`);
    const told = await readJobLog(host.paths);
    expect(told.length).toBeLessThanOrEqual(65_536);
    expect(told.toString().split("\n")[0]).toBe("\u20ac".repeat(1_000));
  });

  it("is told without secrets", async () => {
    await using host = await createHost();
    using log = await openJobLog(host.paths, "2.0.0");
    log.write('{"authorization":"Bearer abc.def"} rc_host_AAAA-bbbb_1 http://user:pa%20ss@proxy:3128\n');
    log.write("-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\nafter\n");
    expect((await readJobLog(host.paths)).toString()).toBe(
      '{"authorization":"Bearer ***"} rc_*** http://***@proxy:3128\n(private key)\nafter\n',
    );
  });

  it("is forgotten once it is confirmed", async () => {
    await using host = await createHost();
    using log = await openJobLog(host.paths, "2.0.0");
    log.write("said\n");
    expect(await host.platform({ ownVersion: "2.0.0", jobLog: log }).confirm(JOB_ID)).toBe(true);
    log.write("said later\n");
    await expect(stat(host.paths.jobLog)).rejects.toThrow("ENOENT");
  });

  it("is lost, and nothing else, where it cannot be written", async () => {
    await using host = await createHost();
    const target = join(host.root, "elsewhere");
    await writeFile(target, "theirs");
    await symlink(target, host.paths.jobLog);
    using log = await openJobLog(host.paths, "2.0.0");
    log.write("said\n");
    log.write("said again\n");
    expect(await readFile(target, "utf8")).toBe("theirs");
    expect((await readJobLog(host.paths)).toString()).toBe("");
  });
});

it("a version that was rolled back tells its log with the outcome, until the next job", async () => {
  await using host = await createHost({ state: "rolled_back", reason: "crashed" });
  await writeFile(host.paths.binary, host.oldBytes);
  await writeFile(host.paths.jobLog, "the last words\n");
  for (let start = 0; start < 2; start += 1) {
    const settlement = await host.platform().settle();
    expect(settlement.kind === "ended" && settlement.log?.toString()).toBe("the last words\n");
  }
});

afterAll(async () => expect(await findLeaks("rollcall-updater-")).toEqual([]));
