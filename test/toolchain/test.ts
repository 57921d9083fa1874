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
import { installSystemPackages, readDebianVersion } from "./system-packages.ts";
import { readVitestTotals, type VitestTotals } from "./vitest-report.ts";

const vitestArguments = process.argv.slice(2);
process.exitCode = await main();

async function main(): Promise<number> {
  await installSystemPackages();
  const checks = vitestArguments.length === 0 ? await runChecks(CHECKS, print) : { passed: 0, failed: 0 };
  const tests = await runVitest();
  const forbidden = mustRunEverything() ? findForbiddenSkips(tests.skipped, readAllowedSkips()) : [];
  for (const name of tests.skipped) {
    print(forbidden.includes(name) ? `Skipped, but must run on this machine: ${name}\n` : `Skipped: ${name}\n`);
  }
  const passed = checks.passed + tests.passed;
  const failed = checks.failed + tests.failed + forbidden.length;
  const skipped = tests.skipped.length - forbidden.length;
  print(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}\n`);
  return failed === 0 ? 0 : 1;
}

async function runVitest(): Promise<VitestTotals> {
  const folder = await mkdtemp(join(tmpdir(), "rollcall-report-"));
  try {
    const report = join(folder, "vitest.json");
    const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
    const succeeded = await runVisibly("vitest", ["run", ...reporters, ...vitestArguments]);
    const totals = readVitestTotals(await readFile(report, "utf8"));
    return succeeded ? totals : { ...totals, failed: Math.max(totals.failed, 1) };
  } catch (error) {
    print(`vitest left no report that can be read: ${String(error)}\n`);
    return { passed: 0, failed: 1, skipped: [] };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Continuous integration's own system has all that a test may need. */
function mustRunEverything(): boolean {
  return process.getuid?.() === 0 && readDebianVersion() === "12";
}

function print(text: string): void {
  process.stdout.write(text);
}
