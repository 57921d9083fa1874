/**
 * Tells a test that fails from one that another process took the machine from.
 *
 * Many tests hold real processes to real deadlines, three files at a time. A
 * file that failed is run once more with nothing beside it, and named, so that
 * a test that needs this is seen. What fails then, failed.
 */
import type { FileTotals, VitestTotals } from "./vitest-report.ts";

/** More files than this don't fail by chance. */
const GREATEST_NUMBER_OF_FILES = 3;

/** The files to run once more: those that failed, or none when it is no matter of chance. */
export function filesForSecondAttempt(first: VitestTotals): readonly string[] {
  const failed = first.files.filter((file) => file.failed > 0).map((file) => file.name);
  return first.failedOutside || failed.length > GREATEST_NUMBER_OF_FILES ? [] : failed;
}

/** The totals of `first`, with those of `second` in the place of the files that it ran. */
export function mergeSecondAttempt(first: VitestTotals, second: VitestTotals): VitestTotals {
  const again = new Map(second.files.map((file): [string, FileTotals] => [file.name, file]));
  return {
    files: first.files.map((file) => again.get(file.name) ?? file),
    failedOutside: first.failedOutside || second.failedOutside,
  };
}
