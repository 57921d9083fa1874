import * as fc from "fast-check";
import { expect, test } from "vitest";
import { BlockPlan } from "../../../agent/updater/block-plan.ts";

test("the ranges of a plan are its missing blocks, each once, lowest first, and as few as can be", () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 300 }), (isPresent) => {
      const plan = new BlockPlan(isPresent.length);
      for (const [index, present] of isPresent.entries()) {
        if (present) plan.markPresent(index);
      }
      const missing = [...isPresent.keys()].filter((index) => !isPresent[index]);
      const ranges = plan.missingRanges();
      expect(
        ranges.flatMap(({ first, count }) => Array.from({ length: count }, (_, offset) => first + offset)),
      ).toEqual(missing);
      expect(ranges.length).toBe(missing.filter((index) => !missing.includes(index - 1)).length);
      expect(plan.missingCount).toBe(missing.length);
    }),
  );
});

test("a plan with more gaps than one request may name leaves the rest for the next", () => {
  const plan = new BlockPlan(10_000);
  for (let index = 0; index < 10_000; index += 2) plan.markPresent(index);
  const ranges = plan.missingRanges();
  expect(ranges).toHaveLength(4096);
  for (const { first } of ranges) plan.markPresent(first);
  expect(plan.missingRanges()).toHaveLength(5000 - 4096);
  expect(plan.missingCount).toBe(5000 - 4096);
});
