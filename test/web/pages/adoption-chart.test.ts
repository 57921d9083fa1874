import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { VersionAdoptionSchema, type VersionAdoption } from "../../../gen/rollcall/v1/catalog_pb.js";
import { bandPath, dayAt, daySentence, toChart } from "../../../web/src/pages/hosts/adoption-chart.ts";

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
  expect(chart.most).toBe(9);
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
  expect(bandPath(small, 0, 100, 40)).toBe(
    "M0.0,10.0 50.0,10.0 50.0,0.0 100.0,0.0 100.0,40.0 50.0,40.0 50.0,40.0 0.0,40.0Z",
  );
  expect(bandPath(small, 1, 100, 40)).toBe(
    "M0.0,0.0 50.0,0.0 50.0,0.0 100.0,0.0 100.0,0.0 50.0,0.0 50.0,10.0 0.0,10.0Z",
  );
});
