/**
 * The guard, killed before each program that it starts, and with each of those
 * programs' calls on the host's files killed or refused: then its next look, and
 * the agent's next start.
 */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { JobReason } from "../../../gen/rollcall/v1/model_pb.js";
import { run, type RunEnd } from "../../faults/strace-plan.ts";
import { explainMissingTools } from "../../faults/system-tools.ts";
import { TemporaryFolder } from "../temporary-folder.ts";
import { findLeaks } from "../updater/leak-check.ts";
import { GUARD, GuardHost, JOB } from "./guard-host.ts";

/** Where to interrupt: the nth call of this name of one process, or its nth on one of the host's files. */
interface Point {
  readonly syscall: string;
  readonly nth: number;
  /** Below the host's root; any when left out. */
  readonly file?: string;
}

/** Most of a case is the pause after a crash. */
const LANES = 4;
const STARTS = ["clone", "vfork"];
const FILE_CALLS = ["openat", "write", "fsync", "linkat", "renameat2", "rename", "unlinkat", "unlink", "close"];
const reasonToSkip = explainMissingTools("strace");

/** A host one crash before its restore. */
async function prepareHost(script?: string): Promise<GuardHost> {
  const host = await GuardHost.create({ ageMs: 0, script });
  await host.recordCrashes(2);
  return host;
}

async function trace(host: GuardHost, options: readonly string[]): Promise<{ end: RunEnd; calls: string }> {
  const folder = await mkdtemp(join(tmpdir(), "rollcall-guard-trace-"));
  try {
    const output = join(folder, "calls");
    const command = ["-D", "-f", "-qq", "-o", output, ...options, "sh", ...host.guardArguments("stopped")];
    const env = { PATH: process.env["PATH"] ?? "", EXIT_STATUS: "KILL" };
    return { end: await run("strace", command, env), calls: await readFile(output, "utf8") };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The guard's own starts of programs, in their order. */
async function planStarts(script?: string): Promise<readonly Point[]> {
  await using host = await prepareHost(script);
  const { calls } = await trace(host, ["-e", `trace=${STARTS.join(",")}`]);
  const lines = calls.split("\n").map((line) => /^(\d+) +([a-z0-9]+)\(/.exec(line));
  const shell = lines[0]?.[1];
  const counts = new Map<string, number>();
  return lines.flatMap((match) => {
    if (match === null || match[1] !== shell || match[2] === undefined) return [];
    const nth = (counts.get(match[2]) ?? 0) + 1;
    counts.set(match[2], nth);
    return [{ syscall: match[2], nth }];
  });
}

/** Each kind of call on each of the host's files. */
async function planFileCalls(): Promise<readonly Point[]> {
  await using host = await prepareHost();
  const { calls } = await trace(host, ["-e", `trace=${FILE_CALLS.join(",")}`]);
  const points = new Map<string, Point>();
  for (const line of calls.split("\n")) {
    const [, syscall, rest = ""] = /^\d+ +([a-z0-9]+)\((.*)$/.exec(line) ?? [];
    for (const [, file = ""] of rest.matchAll(new RegExp(`"${host.root}/([^"]*)"`, "g")))
      if (syscall !== undefined) points.set(`${syscall} ${file}`, { syscall, file, nth: 1 });
  }
  // Calls that name a descriptor are found by the path it was opened with.
  for (const file of ["state/verdict.guard", "state/guard.tmp", "bin/agent.restore", "bin", "state"])
    for (const syscall of ["write", "fsync", "close"]) points.set(`${syscall} ${file}`, { syscall, file, nth: 1 });
  return [...points.values()];
}

async function interrupt(host: GuardHost, { syscall, nth, file }: Point, effect: string): Promise<RunEnd> {
  const path = file === undefined ? [] : ["-P", join(host.root, file)];
  const { end } = await trace(host, [
    ...path,
    "-e",
    `trace=${syscall}`,
    "-e",
    `inject=${syscall}:${effect}:when=${nth}`,
  ]);
  return end;
}

/** What is not as it must be, at once and after the next look. */
async function findProblems(host: GuardHost): Promise<readonly string[]> {
  if ((await host.standing().catch(() => "neither")) === "neither") return ["no whole binary stands at the path"];
  if ((await versionOfOld(host)) !== "1.0.0") return ["`.old` is not the version before"];
  const problems: string[] = [];
  // What goes on after a power cut: the service starts the binary, the timer looks, and it may crash again.
  await host.look();
  if ((await host.standing()) === "2.0.0") await host.stopped("KILL");
  if ((await host.standing()) === "2.0.0") await host.stopped("KILL");
  if ((await host.standing()) !== "1.0.0") problems.push("the version before does not stand there after the next look");
  if ((await versionOfOld(host)) !== "1.0.0") problems.push("`.old` was lost by the next look");
  const settlement = await (await host.platform()).settle();
  if (settlement.kind !== "ended" || settlement.outcome !== "rolledBack" || settlement.reason !== JobReason.CRASHED)
    problems.push(`the next start says ${JSON.stringify(settlement)}`);
  await host.look();
  const all = [...(await readdir(host.paths.folder)), ...(await readdir(host.paths.stateDir))].toSorted();
  // What the guard says of an end is a help, which it does without when it cannot write it.
  const names = all.filter((name) => name !== "job-log");
  if (names.join(" ") !== `agent agent.old journal verdict-${JOB}`) problems.push(`there are ${names.join(" ")}`);
  return problems;
}

function versionOfOld(host: GuardHost): Promise<string> {
  return host.versionAt(host.paths.old).catch(() => "missing");
}

async function runCampaign(points: readonly Point[], effect: string, script?: string): Promise<readonly string[]> {
  const problems: string[] = [];
  const queue = points.values();
  const lane = async (): Promise<void> => {
    for (const point of queue) {
      await using host = await prepareHost(script);
      const { signal } = await interrupt(host, point, effect);
      const where = `${effect} at ${point.syscall} ${point.nth} ${point.file ?? ""}`;
      if (point.file === undefined && signal !== "SIGKILL") problems.push(`${where}: the point was missed`);
      problems.push(...(await findProblems(host)).map((problem) => `${where}: ${problem}`));
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return problems;
}

describe.skipIf(reasonToSkip !== undefined)(
  `the guard, interrupted${reasonToSkip === undefined ? "" : ` (skipped: ${reasonToSkip})`}`,
  () => {
    it("killed before any program that it starts, it leaves what its next look finishes", async () => {
      const points = await planStarts();
      expect(points.length).toBeGreaterThan(25);
      expect(await runCampaign(points, "signal=SIGKILL")).toEqual([]);
    }, 180_000);

    it("with any one kind of call on any one file refused or killed, it leaves what its next look finishes", async () => {
      const points = await planFileCalls();
      expect(points.map(({ syscall, file }) => `${syscall} ${file}`)).toEqual(
        expect.arrayContaining(["linkat state/verdict.guard", "linkat bin/agent.restore", "renameat2 bin/agent"]),
      );
      for (const effect of ["signal=SIGKILL", "error=EIO"]) expect(await runCampaign(points, effect)).toEqual([]);
    }, 300_000);

    it.each<[string, (text: string) => string, string]>([
      [
        "removes the binary first",
        (text) =>
          text.replace('mv -fT "$binary.restore" "$binary"', 'rm "$binary" && mv -fT "$binary.restore" "$binary"'),
        "no whole binary stands at the path",
      ],
      [
        "moves `.old` into place",
        (text) => text.replace('ln -T "$binary.old" "$binary.restore"', 'mv -T "$binary.old" "$binary.restore"'),
        "`.old` is not the version before",
      ],
    ])("a guard that %s is caught", async (_, spoil, expected) => {
      await using folder = await TemporaryFolder.create();
      const script = folder.join("guard.sh");
      await writeFile(script, spoil(await readFile(GUARD, "utf8")));
      const problems = await runCampaign(await planStarts(script), "signal=SIGKILL", script);
      expect(problems.filter((problem) => problem.endsWith(expected))).not.toEqual([]);
    });

    it("copies the version before where hard links are refused", async () => {
      await using host = await prepareHost();
      await interrupt(host, { syscall: "linkat", nth: 1, file: "bin/agent.restore" }, "error=EPERM");
      expect(await host.standing()).toBe("1.0.0");
      expect(await findProblems(host)).toEqual([]);
    });
  },
);

afterAll(async () => expect(await findLeaks("rollcall-guard-")).toEqual([]));
