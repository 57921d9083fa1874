import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { repositoryRoot } from "./repository-root.ts";
import { runCommand } from "./run-command.ts";

const REFUSED: readonly string[] = [
  "export const found = new Date();",
  "export const found = Date.now();",
  "export const found = [1].map(Date.now);",
  "export const found = performance.now();",
  "export const found = Math.random();",
  "export const found = crypto.randomUUID();",
  'import { randomUUID } from "node:crypto"; export const found = randomUUID();',
  "export const found = setTimeout(() => undefined, 5);",
  "export const found = setInterval(() => undefined, 5);",
  "export const found = AbortSignal.timeout(5);",
  'import { setTimeout as sleep } from "node:timers/promises"; export const found = sleep;',
];
const ACCEPTED: readonly string[] = [
  "export const found = new Date(5);",
  'export const found = new Date("2026-01-01T00:00:00Z");',
  "export const found = (socket: { setTimeout(delayMs: number): void }) => socket.setTimeout(5);",
];

let folder: string;
let report: string;

/** Lints a copy of the rule's own configuration, with every example as a file of the agent. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "rollcall-lint-"));
  for (const path of ["biome.json", join("test", "toolchain", "ambient-calls.grit")]) {
    await cp(join(repositoryRoot, path), join(folder, path));
  }
  await mkdir(join(folder, "agent"));
  const write = (name: string, code = ""): Promise<void> => writeFile(join(folder, "agent", name), `${code}\n`);
  for (const [index, code] of REFUSED.entries()) await write(`refused-${index}.ts`, code);
  for (const [index, code] of ACCEPTED.entries()) await write(`accepted-${index}.ts`, code);
  await write("system-clock.ts", REFUSED[1]);
  await write("system-random.ts", REFUSED[4]);
  const options = ["--vcs-enabled=false", "--reporter=github", "--max-diagnostics=none", `--config-path=${folder}`];
  report = (await runCommand("biome", ["lint", ...options, folder])).output;
});

afterAll(() => rm(folder, { recursive: true }));

function isRefused(name: string): boolean {
  return report
    .split("\n")
    .some((line) => line.includes(`/agent/${name},`) && line.includes("Take time and randomness"));
}

test.each(REFUSED.map((code, index) => [code, index] as const))(
  "refused outside of a clock file: %s",
  (_code, index) => {
    expect(isRefused(`refused-${index}.ts`)).toBe(true);
  },
);

test.each(ACCEPTED.map((code, index) => [code, index] as const))("allowed anywhere: %s", (_code, index) => {
  expect(isRefused(`accepted-${index}.ts`)).toBe(false);
});

test("allowed in files that implement a clock or randomness", () => {
  expect([isRefused("system-clock.ts"), isRefused("system-random.ts")]).toEqual([false, false]);
});
