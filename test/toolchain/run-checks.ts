import type { Check } from "./checks.ts";

/** How many checks ended which way. */
export interface CheckTotals {
  readonly passed: number;
  readonly failed: number;
}

/**
 * Runs checks, two at a time: the tools use more than one core by themselves.
 * Each one's name is printed as it ends, with its output when it failed.
 */
export async function runChecks(checks: readonly Check[], print: (text: string) => void): Promise<CheckTotals> {
  const queue = [...checks];
  let failed = 0;
  async function work(): Promise<void> {
    for (let check = queue.shift(); check !== undefined; check = queue.shift()) {
      const result = await check.run();
      print(result.succeeded ? ` ✓ ${check.name}\n` : ` ✗ ${check.name}\n${result.output.trimEnd()}\n`);
      if (!result.succeeded) failed += 1;
    }
  }
  await Promise.all([work(), work()]);
  return { passed: checks.length - failed, failed };
}
