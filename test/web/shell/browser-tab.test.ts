import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { FleetUpdateSchema, FleetUpdateState } from "../../../gen/rollcall/v1/rollout_pb.js";
import { tabIcon, tabTitle, type TabFacts } from "../../../web/src/shell/browser-tab.ts";

const calm: TabFacts = { title: "Hosts", behind: 0, failing: 0, newestUpdate: undefined, isConnected: true };
const running = create(FleetUpdateSchema, {
  state: FleetUpdateState.RUNNING,
  counts: { total: 9, succeeded: 3, skipped: 2 },
});
const halted = create(FleetUpdateSchema, { state: FleetUpdateState.HALTED, counts: { total: 9, succeeded: 3 } });

test.each<[string, Partial<TabFacts>, string]>([
  ["in a calm fleet", {}, "Hosts · Rollcall"],
  ["while six are behind", { behind: 6 }, "(6 behind) Hosts · Rollcall"],
  ["of another page", { title: "Alerts", behind: 6 }, "Alerts · Rollcall"],
  [
    "of a fleet update that skipped two",
    { title: "Fleet update", newestUpdate: running },
    "3 of 7 · Fleet update · Rollcall",
  ],
  ["of a halted one", { title: "Fleet update", newestUpdate: halted }, "Halted · Fleet update · Rollcall"],
  ["without the server", { behind: 6, isConnected: false }, "(no connection) Hosts · Rollcall"],
])("the tab %s tells how things stand", (_when, facts, title) => {
  expect(tabTitle({ ...calm, ...facts })).toBe(title);
});

test("the tab's picture is that of the worst that is known, and of nothing known when the server is away", () => {
  expect(tabIcon(calm)).toBe("/favicon-plain.svg");
  expect(tabIcon({ ...calm, newestUpdate: running })).toBe("/favicon-plain.svg");
  expect(tabIcon({ ...calm, behind: 1 })).toBe("/favicon-behind.svg");
  expect(tabIcon({ ...calm, behind: 1, failing: 1 })).toBe("/favicon-failed.svg");
  expect(tabIcon({ ...calm, newestUpdate: halted })).toBe("/favicon-failed.svg");
  expect(tabIcon({ ...calm, failing: 1, isConnected: false })).toBe("/favicon-lost.svg");
});
