import { expect, test } from "vitest";
import { CellFlashes } from "../../../web/src/pages/hosts/cell-flashes.ts";
import { ManualClock } from "../manual-clock.ts";

/** A cell that counts how often it lit up. */
function cell() {
  let flashes = 0;
  const animate: HTMLElement["animate"] = () => {
    flashes += 1;
    return undefined as unknown as Animation;
  };
  return { animate, count: () => flashes };
}

test("a cell lights up when it says something else, and not when it first appears or says the same again", () => {
  let value = "1.0.0";
  const shown = cell();
  const look = new CellFlashes(new ManualClock(), () => true).of(() => ({ of: "web-1", says: value }));
  look(shown);
  look(shown);
  expect(shown.count()).toBe(0);
  value = "2.0.0";
  look(shown);
  look(shown);
  expect(shown.count()).toBe(1);
});

test("a cell that comes to stand for another host does not light up, and does once that host changes", () => {
  let words = { of: "web-1", says: "1.0.0" };
  const shown = cell();
  const look = new CellFlashes(new ManualClock(), () => true).of(() => words);
  look(shown);
  words = { of: "web-2", says: "2.0.0" };
  look(shown);
  expect(shown.count()).toBe(0);
  words = { of: "web-2", says: "3.0.0" };
  look(shown);
  expect(shown.count()).toBe(1);
});

test("at most twenty cells light up a second, however many change", () => {
  const clock = new ManualClock();
  const flashes = new CellFlashes(clock, () => true);
  let value = 0;
  const shown = cell();
  const look = flashes.of(() => ({ of: "web-1", says: String(value) }));
  for (value = 0; value <= 500; value += 1) look(shown);
  expect(shown.count()).toBe(20);
  clock.advance(999);
  look(shown);
  expect(shown.count()).toBe(20);
  clock.advance(1);
  value += 1;
  look(shown);
  expect(shown.count()).toBe(21);
});

test("nothing lights up for somebody who wants no motion", () => {
  let value = "online";
  const shown = cell();
  const look = new CellFlashes(new ManualClock(), () => false).of(() => ({ of: "web-1", says: value }));
  look(shown);
  value = "offline";
  look(shown);
  expect(shown.count()).toBe(0);
});
