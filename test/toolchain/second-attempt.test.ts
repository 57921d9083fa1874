import { expect, test } from "vitest";
import { filesForSecondAttempt, mergeSecondAttempt } from "./second-attempt.ts";
import type { FileTotals } from "./vitest-report.ts";

function totals(name: string, passed: number, failed: number): FileTotals {
  return { name, passed, failed, skipped: [] };
}

test("the files that failed are run once more, unless they are many or an error belongs to none", () => {
  const held = totals("held", 4, 0);
  const failed = ["a", "b", "c", "d"].map((name) => totals(name, 1, 1));
  expect(filesForSecondAttempt({ files: [held], failedOutside: false })).toEqual([]);
  expect(filesForSecondAttempt({ files: [held, ...failed.slice(1)], failedOutside: false })).toEqual(["b", "c", "d"]);
  expect(filesForSecondAttempt({ files: [held, ...failed], failedOutside: false })).toEqual([]);
  expect(filesForSecondAttempt({ files: [held, ...failed.slice(1)], failedOutside: true })).toEqual([]);
});

test("a second attempt replaces what it ran and nothing else, and its failures stay failures", () => {
  const first = { files: [totals("held", 4, 0), totals("a", 1, 1), totals("b", 2, 2)], failedOutside: false };
  const second = { files: [totals("a", 2, 0), totals("b", 3, 1)], failedOutside: false };
  expect(mergeSecondAttempt(first, second)).toEqual({
    files: [totals("held", 4, 0), totals("a", 2, 0), totals("b", 3, 1)],
    failedOutside: false,
  });
  expect(mergeSecondAttempt(first, { files: [], failedOutside: true })).toEqual({ ...first, failedOutside: true });
});
