import { afterAll, beforeAll, expect, test } from "vitest";
import { AlertKind } from "../../../gen/rollcall/v1/attention_pb.js";
import { HostStatus, Refusal_Reason } from "../../../gen/rollcall/v1/model_pb.js";
import { FleetUpdateHostState, FleetUpdateState } from "../../../gen/rollcall/v1/rollout_pb.js";
import { recordAdoption } from "../../../server/store/version-adoption.ts";
import { findOpenSockets } from "../../agent/open-sockets.ts";
import { NEW_VERSION, OLD_VERSION, startControlPlane, type ControlPlane } from "../../support/control-plane.ts";
import { refusalOf } from "../../support/refusal-of.ts";
import { NOBODY } from "../../support/request-fields.ts";
import { ScriptedHost } from "../../support/scripted-host.ts";
import { watchUntil } from "../../support/watch-until.ts";

let plane: ControlPlane;
beforeAll(async () => {
  plane = await startControlPlane({ offlineAfterMs: 300 });
});
afterAll(async () => {
  await plane[Symbol.asyncDispose]();
  expect(await findOpenSockets()).toEqual([]);
});

async function namesOf(archived: boolean): Promise<readonly string[]> {
  return (await plane.fleet.listHosts({ archived })).hosts.map(({ hostname }) => hostname);
}

async function openAlertsOf(hostId: string) {
  return (await plane.fleet.listAlerts({ hostId, openOnly: true })).alerts.map(({ kind }) => kind);
}

/** Waits for an alert of a host to be told of. */
async function untilAlert(hostId: string): Promise<AlertKind> {
  return watchUntil(plane.fleet, async (change) => {
    if (change.case === "caughtUp") return (await openAlertsOf(hostId))[0];
    return change.case === "alert" && change.value.hostId === hostId ? change.value.kind : undefined;
  });
}

test("an archived host counts nowhere, keeps its history, and is seen to be alive", async () => {
  const host = await ScriptedHost.connect(plane, "retired");
  const { hostId } = host;
  await plane.fleet.updateHost({ hostId });
  await host.failNext();
  await untilAlert(hostId);
  const before = (await plane.fleet.listHosts({})).counts;
  const { host: archived } = await plane.fleet.archiveHost({ hostId });
  expect(archived).toMatchObject({ status: HostStatus.ONLINE, updateAvailable: false });
  expect(archived?.archivedAt).toBeDefined();

  const { counts } = await plane.fleet.listHosts({});
  expect(counts).toMatchObject({
    total: (before?.total ?? 0) - 1,
    online: (before?.online ?? 0) - 1,
    behind: (before?.behind ?? 0) - 1,
    openAlerts: (before?.openAlerts ?? 0) - 1,
  });
  expect(await namesOf(false)).not.toContain("retired");
  expect(await namesOf(true)).toEqual(["retired"]);
  expect(await openAlertsOf(hostId)).toEqual([]);
  expect((await plane.fleet.listJobs({ hostId })).jobs).toHaveLength(1);
  await recordAdoption(plane.database.db);
  expect((await plane.fleet.listVersionAdoption({})).days.filter(({ hosts }) => hosts > 0)).toEqual([]);

  // What it says goes on to be stored.
  await host.hello({ agentVersion: "1.0.1" });
  expect((await plane.fleet.getHost({ hostId })).host).toMatchObject({ agentVersion: "1.0.1" });
  await plane.fleet.archiveHost({ hostId });
  const { events } = await plane.fleet.listAuditEvents({ hostId, actionPrefix: "host.archived" });
  expect(events).toHaveLength(1);
});

test("nothing is sent to it, whoever asks", async () => {
  const host = await ScriptedHost.connect(plane, "quiet");
  const { hostId } = host;
  await plane.fleet.archiveHost({ hostId });
  expect(await refusalOf(plane.fleet.updateHost({ hostId }))).toMatchObject({ reason: Refusal_Reason.HOST_ARCHIVED });
  const named = refusalOf(plane.fleet.startFleetUpdate({ hostIds: [hostId] }));
  expect(await named).toMatchObject({ reason: Refusal_Reason.HOST_UNKNOWN });
  expect(await refusalOf(plane.fleet.startFleetUpdate({}))).toMatchObject({ reason: Refusal_Reason.NO_HOSTS });
});

test("a host that is archived while it waits in a fleet update is skipped by name", async () => {
  const [first, second] = [await ScriptedHost.connect(plane, "turn-a"), await ScriptedHost.connect(plane, "turn-b")];
  const hostIds = [first.hostId, second.hostId];
  const { fleetUpdate } = await plane.fleet.startFleetUpdate({ hostIds });
  const { jobId } = await first.commanded();
  expect(await refusalOf(plane.fleet.archiveHost({ hostId: first.hostId }))).toMatchObject({
    reason: Refusal_Reason.UPDATE_RUNNING,
    details: { job_id: jobId },
  });
  await plane.fleet.archiveHost({ hostId: second.hostId });
  await first.helloUpdated(jobId, NEW_VERSION);
  const fleetUpdateId = fleetUpdate?.id ?? "";
  const ended = await watchUntil(plane.fleet, async (change) => {
    const isDone = change.case === "fleetUpdate" && change.value.state !== FleetUpdateState.RUNNING;
    return isDone || change.case === "caughtUp"
      ? await plane.fleet
          .getFleetUpdate({ fleetUpdateId })
          .then((answer) => (answer.fleetUpdate?.state === FleetUpdateState.COMPLETED ? answer : undefined))
      : undefined;
  });
  expect(ended.hosts.map(({ state, reason }) => [state, reason])).toEqual([
    [FleetUpdateHostState.SUCCEEDED, ""],
    [FleetUpdateHostState.SKIPPED, "host_archived"],
  ]);
});

test("it raises no alert while it is away, and is missed again once it is brought back", async () => {
  const host = await ScriptedHost.connect(plane, "missed", OLD_VERSION);
  const { hostId } = host;
  await plane.fleet.archiveHost({ hostId });
  await host.leave();
  const other = await ScriptedHost.connect(plane, "missed-beside", OLD_VERSION);
  await other.leave();
  expect(await untilAlert(other.hostId)).toBe(AlertKind.HOST_OFFLINE);
  expect(await openAlertsOf(hostId)).toEqual([]);
  const { host: back } = await plane.fleet.unarchiveHost({ hostId });
  expect(back?.archivedAt).toBeUndefined();
  expect(await untilAlert(hostId)).toBe(AlertKind.HOST_OFFLINE);
  expect(await namesOf(false)).toContain("missed");
});

test("a host that is not there can be neither archived nor brought back", async () => {
  const unknown = { reason: Refusal_Reason.HOST_UNKNOWN };
  expect(await refusalOf(plane.fleet.archiveHost({ hostId: NOBODY }))).toMatchObject(unknown);
  expect(await refusalOf(plane.fleet.unarchiveHost({ hostId: NOBODY }))).toMatchObject(unknown);
});
