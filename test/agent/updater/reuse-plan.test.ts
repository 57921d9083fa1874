import * as fc from "fast-check";
import { expect, test } from "vitest";
import { isWorthKeeping, planReuse } from "../../../agent/updater/reuse-plan.ts";

/** Few kinds of blocks, so that most stand in several places. */
const blocks = fc.array(fc.constantFrom("a", "b", "c", "d", "e", "f"), { maxLength: 12 });

test("every block that stands somewhere is in place or moved once, from where it stands; no other is", () => {
  fc.assert(
    fc.property(blocks, blocks, blocks, (wanted, stage, binary) => {
      const { inPlace, withinStage, fromBinary } = planReuse(wanted, stage, binary);
      expect(inPlace.every((index) => stage[index] === wanted[index])).toBe(true);
      expect(withinStage.every(({ from, to }) => stage[from] === wanted[to])).toBe(true);
      expect(fromBinary.every(({ from, to }) => binary[from] === wanted[to])).toBe(true);
      const known = new Set([...stage, ...binary]);
      const expected = [...wanted.entries()].filter(([, digest]) => known.has(digest)).map(([index]) => index);
      const planned = [...inPlace, ...withinStage.map(({ to }) => to), ...fromBinary.map(({ to }) => to)];
      expect(planned.toSorted((one, other) => one - other)).toEqual(expected);
    }),
  );
});

test.each([
  ["down", ["x", "a", "b", "c"], ["a", "b", "c", "y"]],
  ["up", ["a", "b", "c", "x"], ["y", "a", "b", "c"]],
])("a stage whose blocks are shifted %s is put right within itself", (_, stage, wanted) => {
  const content = [...stage];
  for (const { from, to } of planReuse(wanted, stage, []).withinStage) {
    expect(content[from], "not overwritten yet").toBe(wanted[to]);
    content[to] = content[from] ?? "";
  }
  expect(content.filter((block, index) => block === wanted[index]).length).toBe(3);
});

test("a leftover is worth keeping for a wanted block that the binary lacks, and for nothing else", () => {
  expect(isWorthKeeping(["a", "b"], ["x", "b"], ["a"])).toBe(true);
  expect(isWorthKeeping(["a", "b"], ["a", "x"], ["a"])).toBe(false);
  expect(isWorthKeeping(["a", "b"], ["x", "y"], ["z"])).toBe(false);
});
