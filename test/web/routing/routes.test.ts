import { expect, test } from "vitest";
import {
  fleetUpdatePath,
  hostPath,
  parseRoute,
  pathTo,
  readNext,
  type Place,
} from "../../../web/src/routing/routes.ts";

const ID = "0b0e1c9a-0000-4000-8000-000000000001";
const PLACES: readonly Place[] = [
  "hosts",
  "enrol",
  "fleet-update",
  "alerts",
  "audit",
  "releases",
  "users",
  "tokens",
  "account",
  "more",
  "sign-in",
  "setup",
];

test.each(PLACES)("the path of %s leads back to it", (place) => {
  expect(parseRoute(pathTo(place)).page).toBe(place);
});

test("hosts and fleet updates are found by their ids, and nothing else is", () => {
  expect(parseRoute(hostPath(ID))).toEqual({ page: "host", hostId: ID });
  expect(parseRoute(fleetUpdatePath(ID))).toEqual({ page: "fleet-update", id: ID });
  expect(parseRoute("/")).toEqual({ page: "hosts" });
  expect(parseRoute("/hosts/")).toEqual({ page: "hosts" });
  for (const path of ["/hosts/42", `/alerts/${ID}`, "/nowhere", `/hosts/${ID}/more`])
    expect(parseRoute(path), path).toEqual({ page: "not-found" });
});

test("after signing in one only ever goes to a page of this server", () => {
  const next = (text: string): string => readNext(new URLSearchParams({ next: text }));
  expect(next("/alerts?state=open")).toBe("/alerts?state=open");
  for (const evil of [
    "//evil.example",
    "/\\evil.example",
    "https://evil.example",
    "javascript:alert(1)",
    "",
    "/sign-in",
  ])
    expect(next(evil), evil).toBe("/hosts");
});
