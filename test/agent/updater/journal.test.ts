import { execFile } from "node:child_process";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import {
  formatJournal,
  parseJournal,
  readJournal,
  writeJournal,
  type Journal,
} from "../../../agent/updater/journal.ts";
import { findLeaks } from "./leak-check.ts";
import { createUpdateFixture } from "./update-fixture.ts";

const value = fc.stringMatching(/^[0-9A-Za-z.+_-]{1,128}$/);
const digest = fc.stringMatching(/^[0-9a-f]{64}$/);
const journal: fc.Arbitrary<Journal> = fc.record({
  state: fc.constantFrom("unconfirmed", "confirmed", "rolled_back", "failed"),
  jobId: value,
  fromSha256: digest,
  toSha256: digest,
  fromVersion: value,
  toVersion: value,
  sequence: fc.maxSafeNat(),
  bootId: value,
  uptimeMs: fc.maxSafeNat(),
  reason: value,
});

const EXAMPLE: Journal = {
  state: "unconfirmed",
  jobId: "0b5ad7e2-4c56-4e2b-9d3e-2b9d3c6f1a10",
  fromSha256: "a".repeat(64),
  toSha256: "b".repeat(64),
  fromVersion: "1.0.0",
  toVersion: "2.0.0+5.g1234",
  sequence: 7,
  bootId: "9f0c3a52-7b1e-4c8e-8f25-0d6c2f1b7a44",
  uptimeMs: 123456,
  reason: "none",
};

/** How a guard in POSIX sh reads it: the last line first, then one value. */
const READ_BY_SHELL = `[ "$(tail -n 1 "$1")" = end ] && sed -n "s/^$2 \\([0-9A-Za-z.+_-]\\{1,128\\}\\)\\$/\\1/p" "$1"`;

describe("the journal", () => {
  it("stands as lines that a shell can read", () => {
    expect(formatJournal(EXAMPLE).split("\n")).toEqual([
      "format 1",
      "state unconfirmed",
      "job 0b5ad7e2-4c56-4e2b-9d3e-2b9d3c6f1a10",
      `from ${"a".repeat(64)}`,
      `to ${"b".repeat(64)}`,
      "from_version 1.0.0",
      "to_version 2.0.0+5.g1234",
      "sequence 7",
      "boot_id 9f0c3a52-7b1e-4c8e-8f25-0d6c2f1b7a44",
      "uptime_ms 123456",
      "reason none",
      "end",
      "",
    ]);
  });

  it("gives a shell the values that it gives the agent", async () => {
    await using fixture = await createUpdateFixture();
    await writeJournal(fixture.paths, EXAMPLE);
    for (const [key, value] of [
      ["state", "unconfirmed"],
      ["from", EXAMPLE.fromSha256],
      ["to", EXAMPLE.toSha256],
      ["to_version", "2.0.0+5.g1234"],
      ["boot_id", EXAMPLE.bootId],
      ["uptime_ms", "123456"],
    ] as const) {
      const { stdout } = await promisify(execFile)("sh", ["-c", READ_BY_SHELL, "sh", fixture.paths.journal, key]);
      expect(stdout).toBe(`${value}\n`);
    }
  });

  it("reads back what was written", () => {
    fc.assert(
      fc.property(journal, (written) => {
        expect(parseJournal(formatJournal(written))).toEqual(written);
      }),
    );
  });

  it("means nothing when torn at any byte", () => {
    const text = formatJournal(EXAMPLE);
    for (let length = 0; length < text.length; length += 1)
      expect(parseJournal(text.slice(0, length)), `${length} bytes`).toBeUndefined();
  });

  it("means nothing when any one line is missing, doubled or renamed", () => {
    const lines = formatJournal(EXAMPLE).split("\n").slice(0, -1);
    for (const [index, line] of lines.entries()) {
      const changed = [lines.toSpliced(index, 1), lines.toSpliced(index, 0, line), lines.with(index, `x${line}`)];
      for (const text of changed) expect(parseJournal(`${text.join("\n")}\n`), text.join("\n")).toBeUndefined();
    }
  });

  it.each([
    ["another format", "format 1", "format 2"],
    ["an unknown state", "state unconfirmed", "state swapped"],
    ["a digest in capitals", "b".repeat(64), "B".repeat(64)],
    ["a short digest", "b".repeat(64), "b".repeat(63)],
    ["a negative sequence", "sequence 7", "sequence -7"],
    ["a sequence beyond whole numbers", "sequence 7", "sequence 9999999999999999"],
    ["a blank in a value", "reason none", "reason no one"],
    ["an empty value", "reason none", "reason "],
    ["a value of 129 characters", "reason none", `reason ${"x".repeat(129)}`],
    ["a NUL", "reason none", "reason no\0ne"],
    ["a carriage return", "end\n", "end\r\n"],
    ["more after its end", "end\n", "end\nend\n"],
  ])("means nothing with %s", (_name, from, to) => {
    const text = formatJournal(EXAMPLE);
    expect(text).toContain(from);
    expect(parseJournal(text.replace(from, to))).toBeUndefined();
  });

  it("refuses to be written with a value that it could not read back", () => {
    expect(() => formatJournal({ ...EXAMPLE, toVersion: "two words" })).toThrow("two words");
  });

  it("is read from disk only if it is a regular file of reasonable length", async () => {
    await using fixture = await createUpdateFixture();
    expect(await readJournal(fixture.paths)).toBeUndefined();
    await writeJournal(fixture.paths, EXAMPLE);
    expect(await readJournal(fixture.paths)).toEqual(EXAMPLE);
    await writeFile(fixture.paths.journal, "");
    expect(await readJournal(fixture.paths)).toBeUndefined();
    await writeFile(fixture.paths.journal, `${"\n".repeat(5000)}${formatJournal(EXAMPLE)}`);
    expect(await readJournal(fixture.paths)).toBeUndefined();
  });

  it("is not read through a symbolic link, nor from a folder", async () => {
    await using fixture = await createUpdateFixture();
    await writeFile(`${fixture.root}/elsewhere`, formatJournal(EXAMPLE));
    await symlink(`${fixture.root}/elsewhere`, fixture.paths.journal);
    expect(await readJournal(fixture.paths)).toBeUndefined();
    await using other = await createUpdateFixture();
    await mkdir(other.paths.journal);
    expect(await readJournal(other.paths)).toBeUndefined();
  });
});

afterAll(async () => expect(await findLeaks("rollcall-updater-")).toEqual([]));
