import { createHash } from "node:crypto";
import type { ScryptCost } from "../../agent/release/secret-key-file.ts";
import type { Workbench } from "../../agent/release/workbench.ts";

/** The least work that the format allows. */
export const CHEAP_COST: ScryptCost = { operations: 32_768, memoryBytes: 2 ** 24 };

/** A publisher's workbench whose time, randomness and typist are a test's. */
export interface TestBench extends Workbench {
  readonly printed: string[];
  readonly asked: string[];
}

/** A bench at which `passwords` are typed, one after another. Its randomness follows from `seed`. */
export function createTestBench(passwords: readonly string[] = [], seed = "bench"): TestBench {
  const printed: string[] = [];
  const asked: string[] = [];
  const left = [...passwords];
  let draws = 0;
  return {
    printed,
    asked,
    now: () => new Date("2026-11-24T12:00:00Z"),
    randomBytes: (count) => {
      draws += 1;
      return createHash("sha512").update(`${seed} ${draws}`).digest().subarray(0, count);
    },
    passwordCost: CHEAP_COST,
    print: (line) => printed.push(line),
    askPassword: async (question) => {
      asked.push(question);
      const password = left.shift();
      if (password === undefined) throw new Error(`nobody types at ${JSON.stringify(question)}`);
      return password;
    },
  };
}
