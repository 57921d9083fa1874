import { spawn } from "node:child_process";
import { once } from "node:events";
import { watch } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { readBootMoment } from "../../../agent/updater/boot-moment.ts";
import { buildTinyElf } from "../../support/tiny-elf.ts";
import { findLeaks } from "../updater/leak-check.ts";
import { answering, GuardHost, JOB, PATIENCE_MS } from "./guard-host.ts";

const EARLIER_BOOT = "6c0d7f0e-0a52-4b7a-9a3f-000000000000";

/** A program that notes how it was asked and what it was given, and answers with this exit status. */
function noting(path: string, exit: number): Buffer {
  return Buffer.from(`#!/bin/sh\n{ echo "$*"; env; } >>'${path}/asked'\nexit ${exit}\n`);
}

/** A host whose version before notes how it was asked. */
async function createNotingHost(exit: number, options: { readonly ageMs?: number } = {}): Promise<GuardHost> {
  const host = await GuardHost.create(options);
  const notes = join(host.root, "notes");
  await mkdir(notes);
  const oldProgram = noting(notes, exit);
  return await host.withOldProgram(oldProgram, options);
}

async function readNotes(host: GuardHost): Promise<readonly string[]> {
  const text = await readFile(join(host.root, "notes", "asked"), "utf8").catch(() => "");
  return text.split("\n").filter((line) => line.startsWith("-"));
}

async function readRecord(host: GuardHost): Promise<Readonly<Record<string, string>>> {
  const text = await readFile(join(host.paths.stateDir, "guard"), "utf8");
  return Object.fromEntries(
    text.split("\n").map((line): [string, string] => {
      const [key = "", value = ""] = line.split(" ");
      return [key, value];
    }),
  );
}

/** Sets the record's time back, as if the guard had waited for that long. */
async function wait(host: GuardHost, delayMs: number): Promise<void> {
  const path = join(host.paths.stateDir, "guard");
  const text = await readFile(path, "utf8");
  await writeFile(
    path,
    text.replace(/^since_ms (\d+)$/m, (_, since) => `since_ms ${Number(since) - delayMs}`),
  );
}

describe.concurrent("when the version before does not reach the server either", () => {
  it("the new version stays, which is said once, and the question is put again after 30 s", async () => {
    await using host = await createNotingHost(1);
    expect(await host.look()).toMatchObject({
      status: 0,
      stderr: "<5>rollcall-agent-guard: the version before does not reach the server either: the new version stays\n",
    });
    expect(await readNotes(host)).toEqual([`--reach --config ${host.configPath} --state-dir ${host.paths.stateDir}`]);
    await wait(host, 15_000);
    await host.look();
    expect(await readNotes(host)).toHaveLength(1);
    await wait(host, 15_000);
    expect(await host.look()).toMatchObject({ status: 0, stderr: "" });
    expect(await readNotes(host)).toHaveLength(2);
    expect(await host.standing()).toBe("2.0.0");
  });

  it("the version before is asked with nothing of the guard's environment", async () => {
    await using host = await createNotingHost(1);
    await host.look({ OPENSSL_CONF: "/elsewhere" });
    const text = await readFile(join(host.root, "notes", "asked"), "utf8");
    expect(text).toContain("--reach");
    expect(text).not.toMatch(/LC_ALL|OPENSSL_CONF/);
  });

  it("the new version gets its whole time once the server can be reached again", async () => {
    await using host = await GuardHost.create({ oldProgram: answering("1.0.0", 1) });
    await host.look();
    await host.withOldProgram(answering("1.0.0", 0));
    await wait(host, 30_000);
    expect(await host.look()).toMatchObject({ status: 0, stderr: "" });
    expect(await host.standing()).toBe("2.0.0");
    await wait(host, PATIENCE_MS - 15_000);
    await host.look();
    expect(await host.standing()).toBe("2.0.0");
    await wait(host, 15_000);
    await host.look();
    expect(await host.standing()).toBe("1.0.0");
  });

  it("nor when it does not run at all", async () => {
    await using host = await GuardHost.create({ oldProgram: Buffer.from("no program") });
    await host.look();
    expect(await host.standing()).toBe("2.0.0");
  });
});

describe.concurrent("the second look", () => {
  it("leaves a version that was confirmed meanwhile", async () => {
    await using host = await createNotingHost(0);
    const watcher = watch(join(host.root, "notes"));
    const asked = once(watcher, "change");
    const look = host.look();
    await asked;
    watcher.close();
    expect(await (await host.platform()).confirm(JOB)).toBe(true);
    expect(await look).toMatchObject({ status: 0, stderr: "" });
    expect(await host.standing()).toBe("2.0.0");
    expect(await (await host.platform()).settle()).toMatchObject({ kind: "ended", outcome: "succeeded" });
  });
});

describe.concurrent("after a reboot", () => {
  it("the time begins with the first look in that boot", async () => {
    await using host = await GuardHost.create({ journal: { bootId: EARLIER_BOOT, uptimeMs: 1 } });
    const { uptimeMs, bootId } = await readBootMoment();
    await host.look();
    const record = await readRecord(host);
    expect(record).toMatchObject({ job: JOB, boot_id: bootId, crashes: "0", finding: "none" });
    expect(Number(record["since_ms"])).toBeGreaterThanOrEqual(uptimeMs);
    await wait(host, PATIENCE_MS - 15_000);
    await host.look();
    expect(await host.standing()).toBe("2.0.0");
    await wait(host, 15_000);
    await host.look();
    expect(await host.standing()).toBe("1.0.0");
  });

  it("crashes of before still count, times of before do not", async () => {
    await using host = await GuardHost.create({ journal: { bootId: EARLIER_BOOT, uptimeMs: 1 } });
    await writeFile(
      join(host.paths.stateDir, "guard"),
      `job ${JOB}\nboot_id ${EARLIER_BOOT}\nsince_ms 1\ncrashes 2\nfinding server_unreachable\nend\n`,
    );
    await host.look();
    expect(await readRecord(host)).toMatchObject({ crashes: "2", finding: "none" });
    expect(await host.standing()).toBe("2.0.0");
    await host.stopped("KILL");
    expect(await host.standing()).toBe("1.0.0");
  });
});

describe.concurrent("processes of the version that was replaced", () => {
  it("are ended, even if they do not listen, and no others", async () => {
    const newProgram = buildTinyElf({ prints: "2.0.0\n", ending: "hang", sizeBytes: 100_000 });
    await using host = await GuardHost.create({ newProgram });
    await host.recordCrashes(2);
    const other = join(host.root, "agent");
    await writeFile(other, newProgram, { mode: 0o755 });
    const start = async (command: string, args: readonly string[]) => {
      const child = spawn(command, args, { stdio: ["ignore", "pipe", "ignore"] });
      const ended = once(child, "exit");
      await once(child.stdout, "data");
      return { child, ended };
    };
    const willing = await start(host.paths.binary, []);
    // What is ignored stays ignored across exec.
    const deaf = await start("sh", ["-c", `trap '' TERM; exec '${host.paths.binary}'`]);
    const bystander = await start(other, []);
    await host.stopped("1");
    expect(await host.standing()).toBe("1.0.0");
    await host.look();
    expect(await willing.ended).toEqual([null, "SIGTERM"]);
    expect(await deaf.ended).toEqual([null, "SIGKILL"]);
    expect(bystander.child.signalCode).toBeNull();
    bystander.child.kill("SIGKILL");
    await bystander.ended;
  });
});

afterAll(async () => expect(await findLeaks("rollcall-guard-")).toEqual([]));
