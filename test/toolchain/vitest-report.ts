/** Reads the part of vitest's JSON report that the last line of `npm test` is made of. */
import { relative } from "node:path";
import { repositoryRoot } from "./repository-root.ts";

/** What came of a run of vitest. */
export interface VitestTotals {
  readonly passed: number;
  /** Tests that failed, and files and hooks that failed outside of a test. */
  readonly failed: number;
  /** `<file> > <name>` of each test that did not run. */
  readonly skipped: readonly string[];
}

interface Report {
  readonly success: boolean;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly assertionResults: readonly {
      readonly status: string;
      readonly ancestorTitles: readonly string[];
      readonly title: string;
    }[];
  }[];
}

/**
 * Totals of a report. A run that did not succeed has at least one failure, so
 * that an error outside of every test is never lost.
 *
 * *Throws* Error when `json` is no report.
 */
export function readVitestTotals(json: string): VitestTotals {
  const report = JSON.parse(json) as Report;
  let passed = 0;
  let failed = 0;
  const skipped: string[] = [];
  for (const file of report.testResults) {
    const failedBefore = failed;
    for (const test of file.assertionResults) {
      if (test.status === "passed") passed += 1;
      else if (test.status === "failed") failed += 1;
      else skipped.push([relative(repositoryRoot, file.name), ...test.ancestorTitles, test.title].join(" > "));
    }
    if (file.status === "failed" && failed === failedBefore) failed += 1;
  }
  return { passed, failed: report.success ? failed : Math.max(failed, 1), skipped };
}
