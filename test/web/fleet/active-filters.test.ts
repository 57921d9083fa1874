import { expect, test } from "vitest";
import { activeFilters, withoutFilters } from "../../../web/src/fleet/active-filters.ts";
import { EVERY_HOST, isFiltered, type HostQuery } from "../../../web/src/fleet/host-query.ts";

const view: HostQuery = {
  search: "web",
  updates: ["behind", "failing"],
  status: ["offline"],
  platforms: ["linux-x64"],
  versions: ["1.9.0", "2.0.0"],
  labels: ["site=lisbon"],
  isArchived: true,
  sort: "version",
  isDescending: true,
};

test("every choice of a view is one filter, and the view of every host has none", () => {
  expect(activeFilters(view).map(({ label }) => label)).toEqual([
    "'web'",
    "Archived",
    "Behind",
    "Failing",
    "Offline",
    "linux-x64",
    "1.9.0",
    "2.0.0",
    "site=lisbon",
  ]);
  expect(activeFilters(EVERY_HOST)).toEqual([]);
});

test("a filter that is taken off leaves the others and the order alone", () => {
  const [search, , , failing, , , older] = activeFilters(view);
  expect(search?.without).toEqual({ ...view, search: "" });
  expect(failing?.without).toEqual({ ...view, updates: ["behind"] });
  expect(older?.without).toEqual({ ...view, versions: ["2.0.0"] });
});

test("taken off one after another they lead to every host, still in the chosen order", () => {
  let left = view;
  for (let next = activeFilters(left)[0]; next !== undefined; next = activeFilters(left)[0]) left = next.without;
  expect(isFiltered(left)).toBe(false);
  expect(left).toEqual(withoutFilters(view));
  expect(left).toMatchObject({ sort: "version", isDescending: true });
});
