import { rm, writeFile } from "node:fs/promises";
import { afterAll, describe, expect, it } from "vitest";
import {
  formatJournal,
  readJournal,
  writeJournal,
  type Journal,
  type JournalState,
} from "../../../agent/updater/journal.ts";
import type { Settlement } from "../../../agent/updater/update-platform.ts";
import { verdictPath } from "../../../agent/updater/verdict.ts";
import { JobReason } from "../../../gen/rollcall/v1/model_pb.js";
import { buildVersionElf } from "../../support/tiny-elf.ts";
import { findLeaks } from "./leak-check.ts";
import { createUpdateFixture, digestOf, JOB_ID, sha256, type UpdateFixture } from "./update-fixture.ts";

interface Case {
  readonly journal: JournalState | "none" | "torn";
  readonly reason?: string;
  readonly binary: "old" | "new" | "other";
  readonly verdict?: "confirmed" | "restored" | "restored another" | "torn";
  readonly becomes: JournalState | undefined;
  readonly settles: Settlement["kind"] | "succeeded" | "failed" | "rolledBack";
  readonly because?: JobReason;
}

const CASES: readonly Case[] = [
  { journal: "none", binary: "old", becomes: undefined, settles: "none" },
  { journal: "none", binary: "new", verdict: "restored", becomes: undefined, settles: "none" },
  { journal: "torn", binary: "old", becomes: undefined, settles: "none" },
  { journal: "torn", binary: "new", becomes: undefined, settles: "none" },
  { journal: "unconfirmed", binary: "new", becomes: "unconfirmed", settles: "unconfirmed" },
  { journal: "unconfirmed", binary: "new", verdict: "restored", becomes: "unconfirmed", settles: "unconfirmed" },
  {
    journal: "unconfirmed",
    binary: "new",
    verdict: "restored another",
    becomes: "unconfirmed",
    settles: "unconfirmed",
  },
  { journal: "unconfirmed", binary: "new", verdict: "torn", becomes: "unconfirmed", settles: "unconfirmed" },
  { journal: "unconfirmed", binary: "new", verdict: "confirmed", becomes: "confirmed", settles: "succeeded" },
  { journal: "unconfirmed", binary: "old", becomes: "failed", settles: "failed", because: JobReason.AGENT_RESTARTED },
  {
    journal: "unconfirmed",
    binary: "old",
    verdict: "restored",
    becomes: "rolled_back",
    settles: "rolledBack",
    because: JobReason.CRASHED,
  },
  {
    journal: "unconfirmed",
    binary: "old",
    verdict: "restored another",
    becomes: "failed",
    settles: "failed",
    because: JobReason.AGENT_RESTARTED,
  },
  { journal: "unconfirmed", binary: "other", becomes: "failed", settles: "failed", because: JobReason.WRONG_VERSION },
  {
    journal: "unconfirmed",
    binary: "other",
    verdict: "restored",
    becomes: "failed",
    settles: "failed",
    because: JobReason.WRONG_VERSION,
  },
  { journal: "confirmed", binary: "new", becomes: "confirmed", settles: "succeeded" },
  { journal: "confirmed", binary: "old", becomes: "confirmed", settles: "succeeded" },
  {
    journal: "rolled_back",
    reason: "crashed",
    binary: "old",
    becomes: "rolled_back",
    settles: "rolledBack",
    because: JobReason.CRASHED,
  },
  {
    journal: "rolled_back",
    reason: "not_confirmed",
    binary: "old",
    becomes: "rolled_back",
    settles: "rolledBack",
    because: JobReason.NOT_CONFIRMED,
  },
  {
    journal: "rolled_back",
    reason: "server_unreachable",
    binary: "old",
    becomes: "rolled_back",
    settles: "rolledBack",
    because: JobReason.NOT_CONFIRMED,
  },
  {
    journal: "rolled_back",
    reason: "of_a_later_guard",
    binary: "old",
    becomes: "rolled_back",
    settles: "rolledBack",
    because: JobReason.UNSPECIFIED,
  },
  {
    journal: "failed",
    reason: "swap_failed",
    binary: "old",
    becomes: "failed",
    settles: "failed",
    because: JobReason.SWAP_FAILED,
  },
  {
    journal: "failed",
    reason: "commit_expired",
    binary: "old",
    becomes: "failed",
    settles: "failed",
    because: JobReason.COMMIT_EXPIRED,
  },
  {
    journal: "failed",
    reason: "agent_restarted",
    binary: "new",
    becomes: "failed",
    settles: "failed",
    because: JobReason.AGENT_RESTARTED,
  },
];

function createJournal(fixture: UpdateFixture, state: JournalState, reason = "none"): Journal {
  const digests = { fromSha256: sha256(fixture.oldBytes), toSha256: fixture.artifact.sha256 };
  return {
    state,
    jobId: JOB_ID,
    ...digests,
    fromVersion: "1.0.0",
    toVersion: "2.0.0",
    sequence: 7,
    bootId: "boot",
    uptimeMs: 5,
    reason,
  };
}

function verdictText(verdict: NonNullable<Case["verdict"]>): string {
  if (verdict === "torn") return `decision restored\njob ${JOB_ID}\n`;
  const job = verdict === "restored another" ? "another-job" : JOB_ID;
  return `decision ${verdict === "confirmed" ? "confirmed" : "restored"}\njob ${job}\nreason ${verdict === "confirmed" ? "none" : "crashed"}\nend\n`;
}

async function arrange(fixture: UpdateFixture, given: Case): Promise<void> {
  const binary = { old: fixture.oldBytes, new: fixture.newBytes, other: buildVersionElf("9.9.9") }[given.binary];
  await writeFile(fixture.paths.binary, binary);
  await writeFile(fixture.paths.old, "the predecessor");
  if (given.journal === "torn")
    await writeFile(fixture.paths.journal, formatJournal(createJournal(fixture, "unconfirmed")).slice(0, -5));
  else if (given.journal !== "none")
    await writeJournal(fixture.paths, createJournal(fixture, given.journal, given.reason));
  if (given.verdict !== undefined) await writeFile(verdictPath(fixture.paths, JOB_ID), verdictText(given.verdict));
  for (const leftover of [fixture.paths.staged, fixture.paths.oldTemporary, fixture.paths.journalTemporary])
    await writeFile(leftover, "left");
}

describe("at start", () => {
  it.each(CASES)(
    "a journal that is $journal ($reason), the $binary binary and verdict $verdict settle as $settles",
    async (given) => {
      await using fixture = await createUpdateFixture();
      await arrange(fixture, given);
      const before = await digestOf(fixture.paths.binary);
      const journalBefore = await digestOf(fixture.paths.journal);
      const settlement = await fixture.platform().settle();
      expect(settlement.kind === "ended" ? settlement.outcome : settlement.kind).toBe(given.settles);
      if (settlement.kind === "ended") {
        expect(settlement.jobId).toBe(JOB_ID);
        expect(settlement.reason).toBe(given.because ?? JobReason.UNSPECIFIED);
      }
      expect((await readJournal(fixture.paths))?.state).toBe(given.becomes);
      if (given.becomes === given.journal || given.becomes === undefined)
        expect(await digestOf(fixture.paths.journal)).toBe(journalBefore);
      expect(await digestOf(fixture.paths.binary)).toBe(before);
      expect(await digestOf(fixture.paths.old)).toBe(sha256(Buffer.from("the predecessor")));
      expect(await digestOf(fixture.paths.staged), "what the next attempt may want").toBeDefined();
      for (const leftover of [fixture.paths.oldTemporary, fixture.paths.journalTemporary]) {
        expect(await digestOf(leftover), leftover).toBeUndefined();
      }
      // Settled once, it settles the same way again.
      expect(await fixture.platform().settle()).toEqual(settlement);
    },
  );

  it("the version updated to knows itself without reading its file", async () => {
    await using fixture = await createUpdateFixture();
    await rm(fixture.paths.binary);
    await writeJournal(fixture.paths, createJournal(fixture, "unconfirmed"));
    const settlement = await fixture.platform({ ownVersion: "2.0.0" }).settle();
    expect(settlement).toEqual({ kind: "unconfirmed", jobId: JOB_ID, toVersion: "2.0.0" });
  });

  it("between two builds of one version the file decides", async () => {
    await using fixture = await createUpdateFixture();
    const journal = { ...createJournal(fixture, "unconfirmed"), fromVersion: "2.0.0" };
    await writeJournal(fixture.paths, journal);
    const settlement = await fixture.platform({ ownVersion: "2.0.0" }).settle();
    expect(settlement).toMatchObject({ kind: "ended", outcome: "failed", reason: JobReason.AGENT_RESTARTED });
  });

  it("a failed outcome carries the version that was wanted and the one that runs", async () => {
    await using fixture = await createUpdateFixture();
    await writeJournal(fixture.paths, createJournal(fixture, "unconfirmed"));
    expect(await fixture.platform().settle()).toMatchObject({
      details: {
        path: fixture.paths.binary,
        expectedVersion: "2.0.0",
        actualVersion: "1.0.0",
        detail: "the agent was restarted before it replaced its binary",
      },
    });
  });
});

afterAll(async () => expect(await findLeaks("rollcall-updater-")).toEqual([]));
