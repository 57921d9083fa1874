import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { AlertSchema } from "../../../gen/rollcall/v1/attention_pb.js";
import { FleetUpdateSchema, FleetUpdateState } from "../../../gen/rollcall/v1/rollout_pb.js";
import { FleetModel } from "../../../web/src/fleet/fleet-model.ts";
import { caughtUp, host, idOf, message, snapshot } from "./wire.ts";

const names = (model: FleetModel): string[] => model.picture().ordered.map(({ hostname }) => hostname);

test("the first snapshot shows as it comes, in the order in which people count", () => {
  const model = new FleetModel();
  model.apply(snapshot([host("web-10"), host("web-9")]));
  expect(names(model)).toEqual(["web-9", "web-10"]);
  expect(model.picture().isComplete).toBe(false);
  model.apply(snapshot([host("db-1")], false));
  model.apply(caughtUp);
  expect(names(model)).toEqual(["db-1", "web-9", "web-10"]);
  expect(model.picture().isComplete).toBe(true);
});

test("a later snapshot takes the old one's place at once, and only when it is whole", () => {
  const model = new FleetModel();
  for (const one of [snapshot([host("a"), host("b")]), caughtUp]) model.apply(one);
  model.apply(snapshot([host("b", { agentVersion: "3.0.0" })]));
  expect(names(model)).toEqual(["a", "b"]);
  model.apply(message({ change: { case: "host", value: host("c") } }));
  expect(names(model)).toEqual(["a", "b", "c"]);
  model.apply(caughtUp);
  expect(names(model)).toEqual(["b", "c"]);
  expect(model.picture().hosts.get(idOf("b"))?.agentVersion).toBe("3.0.0");
});

test("a change replaces one host and leaves every other one the same object", () => {
  const model = new FleetModel();
  for (const one of [snapshot([host("a"), host("b")]), caughtUp]) model.apply(one);
  const before = model.picture();
  model.apply(message({ change: { case: "host", value: host("b", { agentVersion: "1.0.0" }) } }));
  const after = model.picture();
  expect(after.ordered[0]).toBe(before.ordered[0]);
  expect(after.ordered[1]?.agentVersion).toBe("1.0.0");
  expect(before.ordered[1]?.agentVersion).toBe("2.0.0");
});

test("a host that was removed or renamed changes the order", () => {
  const model = new FleetModel();
  for (const one of [snapshot([host("a"), host("b"), host("c")]), caughtUp]) model.apply(one);
  model.apply(message({ change: { case: "removedHostId", value: idOf("a") } }));
  model.apply(message({ change: { case: "host", value: host("b", { hostname: "z" }) } }));
  expect(names(model)).toEqual(["c", "z"]);
});

test("alerts that the stream told of outlive a list that was read before them", () => {
  const model = new FleetModel();
  const alert = (id: string, touchedMs: number, resolvedMs?: number) =>
    create(AlertSchema, {
      id,
      touchedAt: timestampFromMs(touchedMs),
      ...(resolvedMs === undefined ? {} : { resolvedAt: timestampFromMs(resolvedMs) }),
    });
  const open = (): string[] => [...model.picture().alerts.keys()];
  model.apply(message({ change: { case: "alert", value: alert("old", 10) } }));
  model.apply(message({ change: { case: "alert", value: alert("new", 30) } }));
  model.replaceAlerts([alert("listed", 5)], 20);
  expect(open().toSorted()).toEqual(["listed", "new"]);
  model.apply(message({ change: { case: "alert", value: alert("new", 30, 40) } }));
  expect(open()).toEqual(["listed"]);
});

test("an older word on a fleet update does not undo a newer one", () => {
  const model = new FleetModel();
  const update = (state: FleetUpdateState, changedMs: number) =>
    create(FleetUpdateSchema, { id: "1", state, changedAt: timestampFromMs(changedMs), createdAt: timestampFromMs(1) });
  model.apply(message({ change: { case: "fleetUpdate", value: update(FleetUpdateState.HALTED, 20) } }));
  model.addFleetUpdates([update(FleetUpdateState.RUNNING, 10)]);
  expect(model.picture().fleetUpdates.map(({ state }) => state)).toEqual([FleetUpdateState.HALTED]);
});
