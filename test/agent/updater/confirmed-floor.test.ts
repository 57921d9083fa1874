import { mkdir, rm, writeFile } from "node:fs/promises";
import { afterAll, expect, test } from "vitest";
import { readJournal, writeJournal, type JournalState } from "../../../agent/updater/journal.ts";
import { createTrustFile } from "../../../agent/updater/trust-file.ts";
import { openTrustStore, type TrustStore } from "../../../agent/updater/trust-store.ts";
import { verdictPath } from "../../../agent/updater/verdict.ts";
import { findLeaks } from "./leak-check.ts";
import { createUpdateFixture, JOB_ID, sha256, type UpdateFixture } from "./update-fixture.ts";

const SEQUENCE = 7;

function openTrust(fixture: UpdateFixture): Promise<TrustStore> {
  return openTrustStore(createTrustFile(fixture.paths), { roots: [], sequence: 1, keysSequence: 0 });
}

/** The host as a swap to 2.0.0 left it, with its journal in this state. */
async function arrange(fixture: UpdateFixture, state: JournalState): Promise<void> {
  await writeFile(fixture.paths.binary, fixture.newBytes);
  await writeFile(fixture.paths.old, fixture.oldBytes);
  await writeJournal(fixture.paths, {
    state,
    jobId: JOB_ID,
    fromSha256: sha256(fixture.oldBytes),
    toSha256: fixture.artifact.sha256,
    fromVersion: "1.0.0",
    toVersion: "2.0.0",
    sequence: SEQUENCE,
    bootId: "boot",
    uptimeMs: 5,
    reason: "none",
  });
}

test("an update raises the floor when it is confirmed, and not before", async () => {
  await using fixture = await createUpdateFixture();
  await arrange(fixture, "unconfirmed");
  const trust = await openTrust(fixture);
  const platform = fixture.platform({ trust });
  await platform.settle();
  expect(trust.sequenceFloor).toBe(1);
  expect(await platform.confirm(JOB_ID)).toBe(true);
  expect((await openTrust(fixture)).sequenceFloor).toBe(SEQUENCE);
});

test("an update that the guard decided against raises nothing", async () => {
  await using fixture = await createUpdateFixture();
  await arrange(fixture, "unconfirmed");
  await writeFile(verdictPath(fixture.paths, JOB_ID), `decision restored\njob ${JOB_ID}\nreason crashed\nend\n`);
  const trust = await openTrust(fixture);
  expect(await fixture.platform({ trust }).confirm(JOB_ID)).toBe(false);
  expect(trust.sequenceFloor).toBe(1);
});

test("an agent that was killed between the journal and the floor raises it at its next start", async () => {
  await using fixture = await createUpdateFixture();
  await arrange(fixture, "confirmed");
  await fixture.platform({ trust: await openTrust(fixture) }).settle();
  expect((await openTrust(fixture)).sequenceFloor).toBe(SEQUENCE);
});

test.each<JournalState>(["rolled_back", "failed"])(
  "an update that is %s raises nothing at the start",
  async (state) => {
    await using fixture = await createUpdateFixture();
    await arrange(fixture, state);
    await fixture.platform({ trust: await openTrust(fixture) }).settle();
    expect((await openTrust(fixture)).sequenceFloor).toBe(1);
  },
);

test("a disk that refuses the floor is tried again, with the journal written down already", async () => {
  await using fixture = await createUpdateFixture();
  await arrange(fixture, "unconfirmed");
  const platform = fixture.platform({ trust: await openTrust(fixture) });
  // A folder of that name cannot be replaced by a file.
  await mkdir(fixture.paths.trust);
  await expect(platform.confirm(JOB_ID)).rejects.toThrow("EISDIR");
  expect((await readJournal(fixture.paths))?.state).toBe("confirmed");
  await rm(fixture.paths.trust, { recursive: true });
  expect(await platform.confirm(JOB_ID)).toBe(true);
  expect((await openTrust(fixture)).sequenceFloor).toBe(SEQUENCE);
});

test("a trust file that cannot be relied on does not keep an agent from starting and confirming", async () => {
  await using fixture = await createUpdateFixture();
  await arrange(fixture, "unconfirmed");
  await writeFile(fixture.paths.trust, "torn");
  const platform = fixture.platform({ trust: await openTrust(fixture) });
  expect(await platform.settle()).toMatchObject({ kind: "unconfirmed" });
  expect(await platform.confirm(JOB_ID)).toBe(true);
  expect((await openTrust(fixture)).problem).toContain("it is torn");
});

afterAll(async () => expect(await findLeaks("rollcall-updater-")).toEqual([]));
