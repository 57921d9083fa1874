/**
 * `npm test`: the static checks and every test. Its last line is
 * `N passed, N failed`, where a check counts as one test.
 *
 * With arguments, `npm test -- ARGUMENT …` runs only vitest and hands them on.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findForbiddenSkips, readAllowedSkips } from "./allowed-skips.ts";
import { CHECKS } from "./checks.ts";
import { runChecks } from "./run-checks.ts";
import { runVisibly } from "./run-command.ts";
import { filesForSecondAttempt, mergeSecondAttempt } from "./second-attempt.ts";
import { installSystemPackages, readDebianVersion } from "./system-packages.ts";
import { readVitestTotals, type VitestTotals } from "./vitest-report.ts";

const vitestArguments = process.argv.slice(2);
process.exitCode = await main();

async function main(): Promise<number> {
  await installSystemPackages();
  const wholeSuite = vitestArguments.length === 0;
  const checks = wholeSuite ? await runChecks(CHECKS, print) : { passed: 0, failed: 0 };
  const first = await runVitest(vitestArguments);
  const { files, failedOutside } = wholeSuite ? await attemptAgain(first) : first;
  const skipped = files.flatMap((file) => file.skipped);
  const forbidden = mustRunEverything() ? findForbiddenSkips(skipped, readAllowedSkips()) : [];
  for (const name of skipped) {
    print(forbidden.includes(name) ? `Skipped, but must run on this machine: ${name}\n` : `Skipped: ${name}\n`);
  }
  const passed = checks.passed + sum(files.map((file) => file.passed));
  const failed = checks.failed + sum(files.map((file) => file.failed)) + (failedOutside ? 1 : 0) + forbidden.length;
  const allowed = skipped.length - forbidden.length;
  print(`${passed} passed, ${failed} failed${allowed > 0 ? `, ${allowed} skipped` : ""}\n`);
  return failed === 0 ? 0 : 1;
}

async function attemptAgain(first: VitestTotals): Promise<VitestTotals> {
  const names = filesForSecondAttempt(first);
  if (names.length === 0) return first;
  print(`Once more, with nothing beside it: ${names.join(", ")}\n`);
  const second = await runVitest([...names, "--maxWorkers=1"]);
  for (const file of second.files) if (file.failed === 0) print(`Failed beside others, held alone: ${file.name}\n`);
  return mergeSecondAttempt(first, second);
}

async function runVitest(additional: readonly string[]): Promise<VitestTotals> {
  const folder = await mkdtemp(join(tmpdir(), "rollcall-report-"));
  try {
    const report = join(folder, "vitest.json");
    const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
    const succeeded = await runVisibly("vitest", ["run", ...reporters, ...additional]);
    const totals = readVitestTotals(await readFile(report, "utf8"));
    return succeeded || totals.files.some((file) => file.failed > 0) ? totals : { ...totals, failedOutside: true };
  } catch (error) {
    print(`vitest left no report that can be read: ${String(error)}\n`);
    return { files: [], failedOutside: true };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Continuous integration's own system has all that a test may need. */
function mustRunEverything(): boolean {
  return process.getuid?.() === 0 && readDebianVersion() === "12";
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

function print(text: string): void {
  process.stdout.write(text);
}
