import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { editLabels, type Labels } from "../../../server/domain/labels.ts";

const key = fc.constantFrom("site", "role", "rack", "__proto__");
const label = fc.record({ key, value: fc.constantFrom("a", "b") });
const distinct = fc.uniqueArray(label, { selector: (one) => one.key });

function edited(set: Labels, remove: readonly string[], before: Labels): ReadonlyMap<string, string> {
  const after = new Map(before.map((one) => [one.key, one.value]));
  for (const one of remove) after.delete(one);
  for (const one of set) after.set(one.key, one.value);
  return after;
}

describe("labels after an edit", () => {
  test("are those that stayed and those that were set, by key, each once", () => {
    fc.assert(
      fc.property(distinct, distinct, fc.array(key), (before, set, remove) => {
        const after = editLabels(before, { set, remove });
        expect(new Map(after.map((one) => [one.key, one.value]))).toEqual(edited(set, remove, before));
        expect(after.map((one) => one.key)).toEqual([...new Set(after.map((one) => one.key))].toSorted());
      }),
    );
  });

  test("stay as they are when the same edit comes again", () => {
    fc.assert(
      fc.property(distinct, distinct, fc.array(key), (before, set, remove) => {
        const after = editLabels(before, { set, remove });
        expect(editLabels(after, { set, remove })).toEqual(after);
      }),
    );
  });
});
