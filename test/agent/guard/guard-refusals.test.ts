import { on } from "node:events";
import { watch } from "node:fs";
import { link, mkdir, readFile, readlink, rm, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { NO_REASON } from "../../../agent/updater/journal.ts";
import { decideConfirmed, readVerdict, verdictPath } from "../../../agent/updater/verdict.ts";
import { run } from "../../faults/strace-plan.ts";
import { answering, GUARD, GuardHost, JOB } from "./guard-host.ts";

const OTHER_JOB = "0b5ad7e2-4c56-4e2b-9d3e-2b9d3c6f1a11";

/** One more crash, and the version before would be put back if anything were. */
async function crashAgain(host: GuardHost): Promise<void> {
  await host.recordCrashes(2);
  await host.stopped("1");
}

async function expectUntouched(host: GuardHost): Promise<void> {
  expect(await host.standing()).toBe("2.0.0");
  expect(await readVerdict(host.paths, JOB)).toBeUndefined();
}

describe.concurrent("a journal that is not this update's is not acted on", () => {
  it.each<[string, (text: string) => string | Buffer]>([
    ["empty", () => ""],
    ["torn within a line", (text) => text.slice(0, -20)],
    ["torn before its end", (text) => text.replace("end\n", "")],
    ["torn within its end", (text) => text.replace("end\n", "end")],
    ["longer than its end", (text) => `${text}\n`],
    ["of another format", (text) => text.replace("format 1", "format 2")],
    ["of a state that is not known", (text) => text.replace("unconfirmed", "unsure")],
    ["confirmed", (text) => text.replace("unconfirmed", "confirmed")],
    ["rolled back", (text) => text.replace("unconfirmed", "rolled_back")],
    ["in another order", (text) => text.replace(/^(from .*\n)(to .*\n)/m, "$2$1")],
    ["with a key twice", (text) => text.replace(/^(job .*\n)/m, "$1$1")],
    ["with a digest that is short", (text) => text.replace(/^(to .*)[0-9a-f]$/m, "$1")],
    ["with a count that is none", (text) => text.replace(/^uptime_ms .*$/m, "uptime_ms 0x10")],
    ["with a value for the shell", (text) => text.replace(`job ${JOB}`, "job $(kill -9 $$)")],
    ["with a value that is too long", (text) => text.replace(`job ${JOB}`, `job ${"j".repeat(129)}`)],
    ["with two spaces", (text) => text.replace("job ", "job  ")],
    ["with a byte that a shell does not see", (text) => Buffer.from(text.replace("unconfirmed", "unconfirmed\0"))],
  ])("%s", async (_, damage) => {
    await using host = await GuardHost.create();
    await writeFile(host.paths.journal, damage(await host.journalText()));
    await host.recordCrashes(2);
    // Of both ways to come to a restore: time, and the third crash.
    expect(await host.look()).toMatchObject({ status: 0, stdout: "", stderr: "" });
    await crashAgain(host);
    await expectUntouched(host);
  });

  it("absent", async () => {
    await using host = await GuardHost.create();
    await rm(host.paths.journal);
    expect(await host.look()).toMatchObject({ status: 0, stderr: "" });
    await crashAgain(host);
    await expectUntouched(host);
  });

  it("a symbolic link to a good one", async () => {
    await using host = await GuardHost.create();
    await writeFile(join(host.root, "journal"), await host.journalText());
    await rm(host.paths.journal);
    await symlink(join(host.root, "journal"), host.paths.journal);
    expect(await host.look()).toMatchObject({ status: 0, stderr: "" });
    await crashAgain(host);
    await expectUntouched(host);
  });
});

describe.concurrent("files that are not the journal's are not put back", () => {
  it.each<[string, (host: GuardHost) => Promise<void>, string]>([
    ["`.old` is missing", (host) => rm(host.paths.old), "the file that was kept is not the version before"],
    [
      "`.old` is another version",
      (host) => writeFile(host.paths.old, answering("0.9.0", 0)),
      "the file that was kept is not the version before",
    ],
    [
      "`.old` is a symbolic link to the version before",
      async (host) => {
        await writeFile(join(host.root, "old"), host.oldProgram, { mode: 0o755 });
        await rm(host.paths.old);
        await symlink(join(host.root, "old"), host.paths.old);
      },
      "the file that was kept is not the version before",
    ],
    [
      "the binary is neither version",
      async (host) => {
        await rm(host.paths.binary);
        await writeFile(host.paths.binary, answering("3.0.0", 0), { mode: 0o755 });
      },
      "neither the old nor the new version stands at the path",
    ],
    [
      "the binary is a symbolic link to the new version",
      async (host) => {
        await writeFile(join(host.root, "new"), host.newProgram, { mode: 0o755 });
        await rm(host.paths.binary);
        await symlink(join(host.root, "new"), host.paths.binary);
      },
      "neither the old nor the new version stands at the path",
    ],
  ])("%s: said once, nothing changed", async (_, prepare, sentence) => {
    await using host = await GuardHost.create();
    await prepare(host);
    const before = await readFile(host.paths.binary);
    const end = await host.look();
    expect(end).toMatchObject({ status: 1, stderr: `<3>rollcall-agent-guard: ${sentence}; nothing was changed\n` });
    expect(await host.look()).toMatchObject({ status: 0, stderr: "" });
    await crashAgain(host);
    expect(await readFile(host.paths.binary)).toEqual(before);
    expect(await readVerdict(host.paths, JOB)).toBeUndefined();
  });

  it("the swap never took place: the agent tells at its next start", async () => {
    await using host = await GuardHost.create();
    await rm(host.paths.binary);
    await link(host.paths.old, host.paths.binary);
    expect(await host.look()).toMatchObject({ status: 0, stderr: "" });
    await crashAgain(host);
    expect(await readVerdict(host.paths, JOB)).toBeUndefined();
    const settlement = await (await host.platform()).settle();
    expect(settlement).toMatchObject({ kind: "ended", outcome: "failed" });
  });
});

describe.concurrent("one verdict stands", () => {
  it("the agent's, though it was stopped before it wrote the journal", async () => {
    await using host = await GuardHost.create();
    await decideConfirmed(host.paths, JOB);
    expect(await host.look()).toMatchObject({ status: 0, stderr: "" });
    await crashAgain(host);
    expect(await host.standing()).toBe("2.0.0");
    expect(await readVerdict(host.paths, JOB)).toEqual({ decision: "confirmed", jobId: JOB, reason: NO_REASON });
    expect(await (await host.platform()).settle()).toMatchObject({ kind: "ended", outcome: "succeeded" });
  });

  it("the guard's: the agent that confirms too late learns so, and tells at its next start", async () => {
    await using host = await GuardHost.create();
    const late = await host.platform();
    await crashAgain(host);
    expect(await late.confirm(JOB)).toBe(false);
    expect(await host.standing()).toBe("1.0.0");
    expect(await (await host.platform()).settle()).toMatchObject({ kind: "ended", outcome: "rolledBack" });
  });

  it.each<[string, string]>([
    ["one about another update", `decision confirmed\njob ${OTHER_JOB}\nreason none\nend\n`],
    ["a torn one", `decision confirmed\njob ${JOB}\n`],
    ["an empty one", ""],
  ])("in place of what neither can have linked: %s", async (_, text) => {
    await using host = await GuardHost.create();
    await writeFile(verdictPath(host.paths, JOB), text);
    await crashAgain(host);
    expect(await readVerdict(host.paths, JOB)).toEqual({ decision: "restored", jobId: JOB, reason: "crashed" });
    expect(await host.standing()).toBe("1.0.0");
  });

  it("of two that decide in the same moment, though an earlier update left its own", async () => {
    const left = `decision restored\njob ${OTHER_JOB}\nreason crashed\nend\n`;
    for (let round = 0; round < 12; round += 1) {
      await using host = await GuardHost.create({ ageMs: 0 });
      await writeFile(verdictPath(host.paths, OTHER_JOB), left);
      const agent = await host.platform();
      await host.recordCrashes(2);
      const watcher = watch(host.paths.stateDir);
      const isAbout = (async () => {
        for await (const [, name] of on(watcher, "change")) if (name === "verdict.guard") return;
      })();
      const guard = host.stopped("1");
      // The guard links what it writes now: the agent begins in that moment, or a little after.
      await isAbout;
      watcher.close();
      for (let spin = 0; spin < round; spin += 1) await stat(host.root);
      const [isConfirmed] = await Promise.all([agent.confirm(JOB), guard]);
      expect(await host.standing()).toBe(isConfirmed ? "2.0.0" : "1.0.0");
      expect((await readVerdict(host.paths, JOB))?.decision).toBe(isConfirmed ? "confirmed" : "restored");
    }
  });
});

describe.concurrent("symbolic links", () => {
  it.each([`verdict-${JOB}`, "verdict.guard", "guard.tmp", "guard"])(
    "in place of the guard's own file %s lead nowhere",
    async (name) => {
      await using host = await GuardHost.create();
      const victim = join(host.root, "victim");
      await writeFile(victim, "untouched");
      await host.recordCrashes(2);
      const path = join(host.paths.stateDir, name);
      await rm(path, { force: true });
      await symlink(victim, path);
      // Without its record it counts from the first crash again.
      for (let crashes = 0; crashes < 3 && (await host.standing()) === "2.0.0"; crashes += 1) await host.stopped("1");
      expect(await host.standing()).toBe("1.0.0");
      expect(await readFile(victim, "utf8")).toBe("untouched");
      expect(await readVerdict(host.paths, JOB)).toMatchObject({ decision: "restored" });
    },
  );

  it("in place of the file that becomes the binary lead nowhere, even to a folder", async () => {
    await using host = await GuardHost.create();
    const victim = join(host.root, "victim");
    await mkdir(victim);
    await symlink(victim, `${host.paths.binary}.restore`);
    await crashAgain(host);
    expect(await host.standing()).toBe("1.0.0");
    await expect(readlink(host.paths.binary)).rejects.toThrow("EINVAL");
  });
});

describe.concurrent("how it is called", () => {
  it.each<[string, readonly string[]]>([
    ["needs four arguments: watch, look or stopped, the binary, the state directory, the configuration", ["watch"]],
    ["the first argument must be watch, look or stopped, not undo", ["undo", "/a", "/b", "/c"]],
  ])("%s", async (sentence, words) => {
    expect(await run("sh", [GUARD, ...words], {})).toMatchObject({
      status: 2,
      stderr: `<3>rollcall-agent-guard: ${sentence}\n`,
    });
  });
});
