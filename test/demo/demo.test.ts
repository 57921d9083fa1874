/** The demo as its users see it: a process that starts others and leaves nothing behind. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, expect, test } from "vitest";
import { repositoryRoot } from "../toolchain/repository-root.ts";
import { findProcessesOf } from "./processes-of.ts";

const TIMEOUT_MS = 240_000;

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "rollcall-demo-test-"));
});

afterEach(async () => {
  await expect.poll(() => findProcessesOf(folder)).toEqual([]);
  expect(await readdir(folder)).toEqual([]);
  await rm(folder, { recursive: true });
});

function startDemo(...options: readonly string[]) {
  const child = spawn(process.execPath, [join(repositoryRoot, "test", "demo", "main.ts"), ...options], {
    env: { ...process.env, TMPDIR: folder },
    stdio: ["ignore", "pipe", "inherit"],
  });
  return { child, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator](), exit: once(child, "exit") };
}

async function readUntil(lines: AsyncIterator<string>, words: string): Promise<string> {
  for (let next = await lines.next(); next.done !== true; next = await lines.next()) {
    if (next.value.includes(words)) return next.value;
  }
  throw new Error(`the demo ended before it said "${words}"`);
}

test("--auto updates every host, says so a line a host and ends with one JSON line", {
  timeout: TIMEOUT_MS,
}, async () => {
  const demo = startDemo("--auto", "--hosts", "2");
  const lines: string[] = [];
  for await (const line of { [Symbol.asyncIterator]: () => demo.lines }) lines.push(line);
  expect(await demo.exit).toEqual([0, null]);
  expect(lines.filter((line) => /^demo-0[12]: succeeded after /.test(line))).toHaveLength(2);
  expect(lines.filter((line) => /[0-9.]+ times the floor/.test(line))).toHaveLength(1);
  const result = JSON.parse(lines.at(-1) ?? "") as Record<string, number>;
  expect(result).toMatchObject({ hosts: 2, succeeded: 2, failed: 0 });
  expect(result.elapsedMs).toBeGreaterThan(0);
  expect(result.bytesFetched).toBeGreaterThan(0);
});

test("--break halts the fleet update at that host and leaves the ones after it alone", {
  timeout: TIMEOUT_MS,
}, async () => {
  const demo = startDemo("--auto", "--hosts", "2", "--break", "1");
  const lines: string[] = [];
  for await (const line of { [Symbol.asyncIterator]: () => demo.lines }) lines.push(line);
  expect(await demo.exit).toEqual([1, null]);
  expect(lines).toContainEqual(expect.stringMatching(/^demo-01: failed \(preflight_no_space: /));
  expect(lines).toContainEqual("Halted at demo-01: preflight_no_space. Not touched after it: 1.");
  expect(JSON.parse(lines.at(-1) ?? "")).toMatchObject({ hosts: 2, succeeded: 0, failed: 1 });
});

test("what the demo says to call can be called, and Ctrl-C leaves nothing behind", {
  timeout: TIMEOUT_MS,
}, async () => {
  const demo = startDemo("--hosts", "1");
  const url = /http:\S+/.exec(await readUntil(demo.lines, "until Ctrl-C"))?.[0] ?? "";
  const [, tokenFile = ""] = /\$\(cat (.+?)\)/.exec(await readUntil(demo.lines, "$(cat ")) ?? [];
  const database = await realpath(join(tokenFile, "..", "postgres"));
  const answer = await fetch(`${url}/rollcall.v1.FleetService/ListHosts`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      authorization: `Bearer ${(await readFile(tokenFile, "utf8")).trim()}`,
    },
    body: "{}",
  });
  expect(await answer.json()).toMatchObject({ hosts: [{ hostname: "demo-01", updateAvailable: true }] });
  expect((await findProcessesOf(folder)).length).toBeGreaterThanOrEqual(2);
  expect((await findProcessesOf(database)).length).toBeGreaterThanOrEqual(1);
  demo.child.kill("SIGINT");
  expect(await demo.exit).toEqual([0, null]);
  expect(await findProcessesOf(database)).toEqual([]);
  expect(existsSync(database)).toBe(false);
});
