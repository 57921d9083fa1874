import fc from "fast-check";
import { expect, test } from "vitest";
import { RowSlots, type DrawnRow, type TableRow } from "../../../web/src/pages/hosts/row-slots.ts";
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

test("every row has an element of its own, and none passes the one that may have the focus", () => {
  fc.assert(
    fc.property(fc.array(anyDraw, { minLength: 1, maxLength: 12 }), (draws) => {
      const slots = new RowSlots();
      let before: readonly DrawnRow[] = [];
      for (const { names, from, focused } of draws) {
        const rows = rowsOf(names, from);
        const focusedId = focused === undefined ? undefined : idOf(focused);
        const now = slots.place(rows.toReversed(), focusedId);
        expect(now.map(({ index, host: { id } }) => [index, id])).toEqual(
          rows.map(({ index, host: { id } }) => [index, id]),
        );
        expect(new Set(now.map(({ slot }) => slot)).size).toBe(rows.length);
        const [was, is] = [before, now].map((list) => list.findIndex(({ host: { id } }) => id === focusedId));
        for (const [place, { slot, host: one }] of now.entries()) {
          const placeBefore = before.findIndex((row) => row.slot === slot);
          if (placeBefore === -1) continue;
          if (one.id === focusedId) expect(before[placeBefore]?.host.id === focusedId || was === -1).toBe(true);
          if (was !== -1 && is !== -1) expect(Math.sign(place - (is ?? 0))).toBe(Math.sign(placeBefore - (was ?? 0)));
        }
        before = now;
      }
    }),
  );
});

test("a row keeps its element while others come and go", () => {
  const slots = new RowSlots();
  const slotOf = (drawn: readonly DrawnRow[], name: string) =>
    drawn.find(({ host: { id } }) => id === idOf(name))?.slot;
  const before = slots.place(rowsOf(["web-1", "web-2", "web-3"]), undefined);
  const after = slots.place(rowsOf(["web-0", "web-3", "web-4", "web-2"]), undefined);
  for (const name of ["web-2", "web-3"]) expect(slotOf(after, name)).toBe(slotOf(before, name));
  expect(slotOf(after, "web-0")).toBe(slotOf(before, "web-1"));
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
