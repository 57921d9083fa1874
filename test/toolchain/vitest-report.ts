/** Reads the part of vitest's JSON report that the last line of `npm test` is made of. */
import { relative } from "node:path";
import { repositoryRoot } from "./repository-root.ts";

/** What came of one test file. */
export interface FileTotals {
  /** The file's path from the repository's root. */
  readonly name: string;
  readonly passed: number;
  /** Tests that failed; at least 1 when the file or a hook failed outside of a test. */
  readonly failed: number;
  /** `<file> > <name>` of each test that did not run. */
  readonly skipped: readonly string[];
}

/** What came of a run of vitest. */
export interface VitestTotals {
  readonly files: readonly FileTotals[];
  /** Whether something failed that belongs to no file, such as an error that nobody caught. */
  readonly failedOutside: boolean;
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
 * Totals of a report.
 *
 * *Throws* Error when `json` is no report.
 */
export function readVitestTotals(json: string): VitestTotals {
  const report = JSON.parse(json) as Report;
  const files = report.testResults.map(readFile);
  return { files, failedOutside: !report.success && files.every((file) => file.failed === 0) };
}

function readFile(file: Report["testResults"][number]): FileTotals {
  const name = relative(repositoryRoot, file.name);
  let passed = 0;
  let failed = 0;
  const skipped: string[] = [];
  for (const test of file.assertionResults) {
    if (test.status === "passed") passed += 1;
    else if (test.status === "failed") failed += 1;
    else skipped.push([name, ...test.ancestorTitles, test.title].join(" > "));
  }
  return { name, passed, failed: file.status === "failed" ? Math.max(failed, 1) : failed, skipped };
}
