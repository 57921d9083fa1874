import { basename } from "node:path";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/**
 * Files that take longest, most of it waiting. Begun last they would be waited
 * for alone; a clean clone has no record of durations to tell.
 */
const LONGEST: readonly string[] = [
  "hosts.test.ts",
  "install.test.ts",
  "real-deadlines.test.ts",
  "failure-reasons.test.ts",
  "built-agent-faults.test.ts",
  "updater-faults.test.ts",
  "power-cut.test.ts",
  "demo.test.ts",
  "cluster-crash.test.ts",
  "soak.test.ts",
  "fleet-update-killed.test.ts",
  "server-killed-at-every-state.test.ts",
  "guard-faults.test.ts",
];

/** Starts the longest test files first, the others in vitest's own order. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.toSorted((left, right) => rank(left) - rank(right));
  }
}

function rank(file: TestSpecification): number {
  const place = LONGEST.indexOf(basename(file.moduleId));
  return place === -1 ? LONGEST.length : place;
}
