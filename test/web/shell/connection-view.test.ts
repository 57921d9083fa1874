import { expect, test } from "vitest";
import { viewConnection } from "../../../web/src/shell/connection-view.ts";

const HEARD = new Date(2026, 10, 24, 14, 2, 31).getTime();
const away = (nowMs: number, nextTryAtMs?: number) =>
  viewConnection({ kind: "away", sinceMs: 0, nextTryAtMs }, nowMs, HEARD);

test("a short break is not told, a longer one is, and a lost connection says since when", () => {
  expect(away(1_999)).toMatchObject({ state: "live", sentence: "" });
  expect(away(2_000)).toMatchObject({ state: "reconnecting", sentence: "Reconnecting. Showing 14:02:31." });
  expect(away(24_000, 28_000)).toMatchObject({
    state: "lost",
    sentence:
      "No connection for 24 s. What you see is from 14:02:31; running updates go on without this page. Next try in 4 s.",
  });
  expect(away(24_000).sentence).toMatch(/Trying now\.$/);
});

test("being back is told for three seconds", () => {
  const live = { kind: "live", backAtMs: 10_000 } as const;
  expect(viewConnection(live, 12_999, HEARD).sentence).toBe("Connected again, up to date.");
  expect(viewConnection(live, 13_000, HEARD).sentence).toBe("");
  expect(viewConnection({ kind: "live", backAtMs: undefined }, 0, HEARD).sentence).toBe("");
});
