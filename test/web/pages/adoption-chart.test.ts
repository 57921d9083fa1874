import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { VersionAdoptionSchema, type VersionAdoption } from "../../../gen/rollcall/v1/catalog_pb.js";
import { bandPaths, dayAt, daySentence, labelPlaces, toChart } from "../../../web/src/pages/hosts/adoption-chart.ts";

function note(day: string, version: string, hosts: number): VersionAdoption {
  return create(VersionAdoptionSchema, { day, version, hosts });
}

const chart = toChart(
  [
    note("2026-11-01", "1.9.0", 4),
    note("2026-11-02", "1.9.0", 3),
    note("2026-11-02", "1.10.0", 1),
    note("2026-11-02", "2.0.0", 2),
    note("2026-11-02", "1.8.0", 1),
    note("2026-11-02", "1.7.0", 1),
    note("2026-11-02", "1.6.0", 1),
    note("2026-11-03", "2.0.0", 0),
  ],
  "2.0.0",
);

test("the target comes first, then three versions by their numbers, and all older ones as one", () => {
  expect(chart.bands.map(({ label, kind }) => `${kind} ${label}`)).toEqual([
    "target 2.0.0",
    "recent 1.10.0",
    "recent 1.9.0",
    "recent 1.8.0",
    "older older",
  ]);
  expect(chart.bands.at(-1)?.hosts).toEqual([0, 2, 0]);
  expect(chart.top).toBe(10);
});

test("a day is told by what ran on it, and an empty one as empty", () => {
  expect(daySentence(chart, 0, "1 Nov")).toBe("1 Nov: 4 on 1.9.0");
  expect(daySentence(chart, 1, "2 Nov")).toBe("2 Nov: 2 on 2.0.0, 1 on 1.10.0, 3 on 1.9.0, 1 on 1.8.0, 2 on older");
  expect(daySentence(chart, 2, "Today")).toBe("Today: no host");
});

test("every place of the chart belongs to the day that is drawn there", () => {
  expect([-0.1, 0, 0.32, 0.34, 0.66, 0.67, 1, 1.4].map((place) => dayAt(chart, place))).toEqual([
    0, 0, 0, 1, 1, 2, 2, 2,
  ]);
});

test("bands stand on each other: the upper edge of one is the lower edge of the next", () => {
  // Of two days, one on each half of the width.
  const small = toChart([note("a", "1", 1), note("a", "2", 3), note("b", "2", 4)], "2");
  expect(bandPaths(small, 0, 100, 40)).toEqual({
    area: "M0.0,10.0 50.0,10.0 50.0,0.0 100.0,0.0 100.0,40.0 50.0,40.0 50.0,40.0 0.0,40.0Z",
    edge: "M0.0,10.0 50.0,10.0 50.0,0.0 100.0,0.0",
  });
  expect(bandPaths(small, 1, 100, 40).area).toBe(
    "M0.0,0.0 50.0,0.0 50.0,0.0 100.0,0.0 100.0,0.0 50.0,0.0 50.0,10.0 0.0,10.0Z",
  );
});

test.each([
  [1, 2],
  [9, 10],
  [12, 12],
  [97, 98],
  [201, 220],
  [10_000, 10_000],
  [10_233, 10_400],
])("the scale over %i hosts ends at %i, whose half is a count as well", (hosts, top) => {
  expect(toChart([note("a", "1", hosts)], "1").top).toBe(top);
});

test("labels stand at their bands, and apart from each other", () => {
  // Bands of 4, 0, 0 and 6 hosts: the empty ones have no room of their own.
  const last = toChart([note("a", "1", 6), note("a", "2", 0), note("b", "1", 6), note("b", "4", 4)], "4");
  expect(labelPlaces(last, 0.15).map((place) => place.toFixed(2))).toEqual(["0.20", "0.70"]);
  const crowded = toChart([note("a", "9", 97), note("a", "3", 1), note("a", "2", 1), note("a", "1", 1)], "9");
  const places = labelPlaces(crowded, 0.15);
  expect(places.map((place) => place.toFixed(3))).toEqual(["0.475", "0.625", "0.775", "0.925"]);
});
