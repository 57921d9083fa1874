import { expect, test } from "vitest";
import { tipWords, type Tipped } from "../../../web/src/shell/tip-words.ts";

/** An element with a tip of its own, or none, that holds others. */
function element(tip: string | null, held: readonly Tipped[] = []): Tipped {
  return {
    getAttribute: (name: string) => (name === "data-tip" ? tip : null),
    querySelectorAll: () => held as unknown as NodeListOf<Element>,
  };
}

test("an element tells its own tip, and one without tells those of all that it holds", () => {
  expect(tipWords(element("Runs 1.0.0"))).toBe("Runs 1.0.0");
  expect(tipWords(element(null, [element("Runs 1.0.0"), element(""), element("Tuesday")]))).toBe(
    "Runs 1.0.0 · Tuesday",
  );
  expect(tipWords(element(null))).toBe("");
});
