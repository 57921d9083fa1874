import fc from "fast-check";
import { expect, test } from "vitest";
import { RowSlots, type TableRow } from "../../../web/src/pages/hosts/row-slots.ts";
import { host, idOf } from "../fleet/wire.ts";

const NAMES = Array.from({ length: 30 }, (_, index) => `web-${index}`);
/** Which rows are drawn, in no order of theirs, and who may have the focus. */
const anyDraw = fc.record({
  names: fc.shuffledSubarray(NAMES, { maxLength: 12 }),
  from: fc.nat(5),
  focused: fc.option(fc.constantFrom(...NAMES), { nil: undefined }),
});

function rowsOf(names: readonly string[], from = 0): TableRow[] {
  return names.map((name, offset) => ({ index: from + offset, host: host(name) }));
}

test("every row has an element of its own, which it keeps", () => {
  fc.assert(
    fc.property(fc.array(anyDraw, { minLength: 1, maxLength: 12 }), (draws) => {
      const slots = new RowSlots();
      let before = new Map<string, number>();
      for (const { names, from, focused } of draws) {
        const rows = rowsOf(names, from);
        const drawn = slots.place(rows.toReversed(), focused === undefined ? undefined : idOf(focused));
        expect(drawn.map(({ index, host: { id } }) => [index, id])).toEqual(
          rows.map(({ index, host: { id } }) => [index, id]),
        );
        const now = new Map(drawn.map(({ host: { id }, slot }) => [id, slot]));
        expect(new Set(now.values()).size).toBe(rows.length);
        for (const [id, slot] of now) if (before.has(id)) expect(slot).toBe(before.get(id));
        before = now;
      }
    }),
  );
});

test("rows that scroll out of sight leave their elements to those that come", () => {
  const slots = new RowSlots();
  const first = slots.place(rowsOf(NAMES.slice(0, 10)), undefined).map(({ slot }) => slot);
  const next = slots.place(rowsOf(NAMES.slice(10, 20), 10), undefined).map(({ slot }) => slot);
  expect(next).toEqual(first);
});

test("the element of a row that may have the focus goes with the row", () => {
  const slots = new RowSlots();
  const [left] = slots.place(rowsOf(["web-1"]), idOf("web-1"));
  const [come] = slots.place(rowsOf(["web-2"]), idOf("web-1"));
  expect(come?.slot).not.toBe(left?.slot);
});

test("a row that did not change is the same object, and one that did is another on the same element", () => {
  const slots = new RowSlots();
  const [a, b] = [host("a"), host("b")];
  const before = slots.place(
    [a, b].map((one, index) => ({ index, host: one })),
    undefined,
  );
  const after = slots.place(
    [a, host("b")].map((one, index) => ({ index, host: one })),
    undefined,
  );
  expect(after[0]).toBe(before[0]);
  expect(after[1]).not.toBe(before[1]);
  expect(after[1]?.slot).toBe(before[1]?.slot);
});
