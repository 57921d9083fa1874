import { join } from "node:path";
import { expect, test } from "vitest";
import { repositoryRoot } from "./repository-root.ts";
import { readVitestTotals } from "./vitest-report.ts";

const name = join(repositoryRoot, "test", "a.test.ts");

function report(success: boolean, status: string, statuses: readonly string[]): string {
  const assertionResults = statuses.map((each, index) => ({
    status: each,
    ancestorTitles: ["group"],
    title: `test ${index}`,
  }));
  return JSON.stringify({ success, testResults: [{ name, status, assertionResults }] });
}

test("passed, failed and skipped tests are counted, and the skipped ones named", () => {
  expect(readVitestTotals(report(false, "failed", ["passed", "failed", "skipped", "todo", "passed"]))).toEqual({
    files: [
      {
        name: "test/a.test.ts",
        passed: 2,
        failed: 1,
        skipped: ["test/a.test.ts > group > test 2", "test/a.test.ts > group > test 3"],
      },
    ],
    failedOutside: false,
  });
});

test("a file that failed outside of its tests is one failure", () => {
  expect(readVitestTotals(report(false, "failed", [])).files).toMatchObject([{ passed: 0, failed: 1 }]);
  expect(readVitestTotals(report(false, "failed", ["passed"])).files).toMatchObject([{ passed: 1, failed: 1 }]);
});

test("a run that failed outside of every file is told apart", () => {
  expect(readVitestTotals(report(false, "passed", ["passed"])).failedOutside).toBe(true);
  expect(readVitestTotals(report(true, "passed", ["passed"])).failedOutside).toBe(false);
});
