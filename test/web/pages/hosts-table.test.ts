import fc from "fast-check";
import { expect, test } from "vitest";
import { holdOrder } from "../../../web/src/pages/hosts/held-order.ts";
import { windowRange } from "../../../web/src/pages/hosts/window-range.ts";
import { host, idOf } from "../fleet/wire.ts";

test("every row that is seen is drawn, and few others", () => {
  fc.assert(
    fc.property(
      fc.nat(20_000),
      fc.integer({ min: -2_000, max: 900_000 }),
      fc.integer({ min: 1, max: 2_000 }),
      (rows, scrolled, windowHeight) => {
        const { first, end } = windowRange({ rows, rowHeight: 44, scrolled, windowHeight, overscan: 8 });
        for (let row = 0; row < rows; row += Math.max(1, Math.floor(rows / 50))) {
          const isSeen = row * 44 < scrolled + windowHeight && (row + 1) * 44 > scrolled;
          if (isSeen) expect(row >= first && row < end).toBe(true);
        }
        expect(first).toBeLessThanOrEqual(end);
        expect(end - first).toBeLessThanOrEqual(Math.ceil(windowHeight / 44) + 18);
      },
    ),
  );
});

test("held rows keep their places while what they say changes, and tell how many would move", () => {
  const [a, b, c, d] = [host("a"), host("b"), host("c"), host("d")];
  const changed = host("b", { agentVersion: "9.0.0" });
  const hosts = new Map([a, changed, c, d].map((one) => [one.id, one]));
  const held = [idOf("a"), idOf("b"), idOf("c")];
  expect(holdOrder(held, [a, changed, c], hosts)).toEqual({ rows: [a, changed, c], moves: 0 });
  expect(holdOrder(held, [c, a, changed], hosts)).toMatchObject({ rows: [a, changed, c], moves: 1 });
  // One came, one left.
  expect(holdOrder(held, [a, changed, d], hosts).moves).toBe(2);
  hosts.delete(idOf("b"));
  expect(holdOrder(held, [a, c], hosts)).toEqual({ rows: [a, c], moves: 0 });
  expect(b.id).toBe(changed.id);
});
