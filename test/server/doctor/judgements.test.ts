import { expect, test } from "vitest";
import { judgeClock } from "../../../server/doctor/check-clock.ts";
import { judgeRoom } from "../../../server/doctor/check-disk.ts";

test.each([
  [50_000_000_000, 1_000_000, "ok"],
  [50_000_000_000, undefined, "ok"],
  [1_500_000_000, 1_000_000, "warn"],
  [100_000_000, 1_000_000, "fail"],
  [50_000_000_000, 12, "fail"],
] as const)("%s bytes and %s files left are %s", (freeBytes, freeFiles, verdict) => {
  expect(judgeRoom("disk", "/data", { freeBytes, freeFiles }).verdict).toBe(verdict);
});

test.each([
  [0, true, "ok", "synchronised"],
  [-2_000, undefined, "ok", "nothing here tells"],
  [0, false, "warn", "not synchronised"],
  [9_000, true, "fail", "9.0 s ahead of"],
  [-9_000, undefined, "fail", "9.0 s behind"],
] as const)("a clock that is %s ms off, synchronised: %s, is %s", (differenceMs, isSynchronised, verdict, words) => {
  const finding = judgeClock(differenceMs, isSynchronised);
  expect(finding.verdict).toBe(verdict);
  expect(finding.found).toContain(words);
});
