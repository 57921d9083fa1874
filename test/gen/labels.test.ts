import { expect, test } from "vitest";
import { formatLabels, splitLabel, splitList } from "../../gen/labels.ts";

test("labels are read as they are written", () => {
  const labels = [
    { key: "role", value: "web" },
    { key: "site", value: "lisbon" },
  ];
  expect(formatLabels(labels)).toBe("role=web, site=lisbon");
  expect(splitList(formatLabels(labels)).map(splitLabel)).toEqual(labels);
});

test("a label is split at its first '=', and text without one is none", () => {
  expect(splitLabel(" site = a=b ")).toEqual({ key: "site", value: "a=b" });
  expect(splitLabel("site")).toBeUndefined();
  expect(splitList(" , a=b,, ")).toEqual(["a=b"]);
});
