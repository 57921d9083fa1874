import { randomUUID } from "node:crypto";
import { Code, ConnectError } from "@connectrpc/connect";
import { status as Status } from "@grpc/grpc-js";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AlertKind, type Alert } from "../../../gen/rollcall/v1/attention_pb.js";
import { JobState, Refusal_Reason } from "../../../gen/rollcall/v1/model_pb.js";
import { FleetUpdateState } from "../../../gen/rollcall/v1/rollout_pb.js";
import { findOpenSockets } from "../../agent/open-sockets.ts";
import { NEW_VERSION, OLD_VERSION, startControlPlane, type ControlPlane } from "../../support/control-plane.ts";
import { untilFleetUpdateSettled } from "../../support/fleet-update-end.ts";
import { refusalOf } from "../../support/refusal-of.ts";
import { validHello } from "../../support/scripted-agent.ts";
import { ScriptedHost } from "../../support/scripted-host.ts";
import { watchUntil } from "../../support/watch-until.ts";

let plane: ControlPlane;
beforeAll(async () => {
  plane = await startControlPlane({ offlineAfterMs: 300, progressDeadlineMs: 3_000 });
});
afterAll(async () => {
  await plane[Symbol.asyncDispose]();
  expect(await findOpenSockets()).toEqual([]);
});

async function alertsOf(query: Parameters<typeof plane.fleet.listAlerts>[0]): Promise<readonly Alert[]> {
  return (await plane.fleet.listAlerts(query)).alerts;
}

/** The host's open alert of this kind, once there is one that fits. */
function untilAlert(hostId: string, kind: AlertKind, fits: (alert: Alert) => boolean = () => true): Promise<Alert> {
  return watchUntil(plane.fleet, async () => (await alertsOf({ hostId, kind, openOnly: true })).find(fits));
}

/** Asks for an update of the host, which fails. Its job. */
async function failOnce(host: ScriptedHost): Promise<string> {
  await plane.fleet.updateHost({ hostId: host.hostId });
  const jobId = await host.failNext();
  await plane.untilEnded(jobId);
  return jobId;
}

async function start(hosts: readonly ScriptedHost[]): Promise<string> {
  const { fleetUpdate } = await plane.fleet.startFleetUpdate({ hostIds: hosts.map(({ hostId }) => hostId) });
  return fleetUpdate?.id ?? "";
}

const isResolved = (alert: Alert | undefined): boolean => alert?.resolvedAt !== undefined;

describe("update_failed", () => {
  test("is raised once a host, and touched when an update of it fails again", async () => {
    const host = await ScriptedHost.connect(plane, "fails-twice");
    const first = await failOnce(host);
    const [raised] = await alertsOf({ hostId: host.hostId });
    expect(raised).toMatchObject({
      kind: AlertKind.UPDATE_FAILED,
      jobId: first,
      reason: "preflight_read_only",
      timesRaised: 1,
    });
    const second = await failOnce(host);
    const alerts = await alertsOf({ hostId: host.hostId });
    expect(alerts).toHaveLength(1);
    expect(alerts[0]).toMatchObject({ id: raised?.id, jobId: second, timesRaised: 2, raisedAt: raised?.raisedAt });
    const [touchedAt, raisedAt] = [alerts[0]?.touchedAt, raised?.touchedAt].map((at) => at && timestampDate(at));
    expect(touchedAt?.getTime()).toBeGreaterThan(raisedAt?.getTime() ?? Number.POSITIVE_INFINITY);
  });

  test("is resolved by a Hello at the target, not by one at another version, and then raised anew", async () => {
    const host = await ScriptedHost.connect(plane, "recovers");
    await failOnce(host);
    await host.hello({ agentVersion: "1.5.0" });
    expect(isResolved((await alertsOf({ hostId: host.hostId }))[0])).toBe(false);
    await host.hello({ agentVersion: NEW_VERSION });
    const [resolved] = await alertsOf({ hostId: host.hostId });
    expect(isResolved(resolved)).toBe(true);
    await host.hello();
    await failOnce(host);
    const alerts = await alertsOf({ hostId: host.hostId });
    expect(alerts.map(isResolved)).toEqual([false, true]);
    expect(alerts[1]?.id).toBe(resolved?.id);
  });

  test("is resolved by the update that succeeds", async () => {
    const host = await ScriptedHost.connect(plane, "second-try");
    await failOnce(host);
    await plane.fleet.updateHost({ hostId: host.hostId });
    const jobId = await host.reachCommit();
    await host.leave();
    await host.helloUpdated(jobId, NEW_VERSION);
    expect((await alertsOf({ hostId: host.hostId, kind: AlertKind.UPDATE_FAILED })).map(isResolved)).toEqual([true]);
  });
});

test("fleet_update_halted is of the fleet, touched by the next halt, and resolved by the next completion", async () => {
  const bad = await ScriptedHost.connect(plane, "halts");
  const ids = [];
  for (const _ of [1, 2]) {
    const id = await start([bad]);
    await bad.failNext();
    expect((await untilFleetUpdateSettled(plane.fleet, id)).fleetUpdate?.state).toBe(FleetUpdateState.HALTED);
    ids.push(id);
  }
  const halted = await alertsOf({ kind: AlertKind.FLEET_UPDATE_HALTED });
  expect(halted).toMatchObject([{ hostId: "", fleetUpdateId: ids[1], reason: "preflight_read_only", timesRaised: 2 }]);
  expect(isResolved(halted[0])).toBe(false);

  const good = await ScriptedHost.connect(plane, "completes");
  const id = await start([good]);
  const jobId = await good.reachCommit();
  await good.leave();
  await good.helloUpdated(jobId, NEW_VERSION);
  await untilFleetUpdateSettled(plane.fleet, id);
  expect((await alertsOf({ kind: AlertKind.FLEET_UPDATE_HALTED })).map(isResolved)).toEqual([true]);
  // The host itself did not recover.
  expect((await alertsOf({ hostId: bad.hostId })).map(isResolved)).toEqual([false]);
});

describe("host_offline", () => {
  test("is raised once the host was away for long enough, and resolved by its Hello", async () => {
    const host = await ScriptedHost.connect(plane, "goes-away");
    await host.leave();
    const alert = await untilAlert(host.hostId, AlertKind.HOST_OFFLINE);
    expect(alert).toMatchObject({ timesRaised: 1, jobId: "" });
    await host.hello();
    expect((await alertsOf({ hostId: host.hostId })).map(isResolved)).toEqual([true]);
  });

  test("is not raised for a host that never came", async () => {
    const never = await ScriptedHost.enrol(plane, "never-came");
    const later = await ScriptedHost.connect(plane, "came-once");
    await later.leave();
    // Whoever was offline before this one would have been told of by now.
    await untilAlert(later.hostId, AlertKind.HOST_OFFLINE);
    expect(await alertsOf({ hostId: never.hostId })).toEqual([]);
  });

  test("is not raised while the host restarts for an update, only once that failed", async () => {
    const restarting = await ScriptedHost.connect(plane, "restarts");
    await plane.fleet.updateHost({ hostId: restarting.hostId });
    const jobId = await restarting.reachCommit();
    await restarting.leave();
    const later = await ScriptedHost.connect(plane, "leaves-later");
    await later.leave();
    await untilAlert(later.hostId, AlertKind.HOST_OFFLINE);
    expect((await plane.fleet.getJob({ jobId })).job?.state).toBe(JobState.RESTARTING);
    expect(await alertsOf({ hostId: restarting.hostId })).toEqual([]);
    await untilAlert(restarting.hostId, AlertKind.HOST_OFFLINE);
    expect(await untilAlert(restarting.hostId, AlertKind.UPDATE_FAILED)).toMatchObject({ jobId, reason: "agent_lost" });
  });
});

describe("duplicate_identity", () => {
  test("is one alert of two machines with one credential, and no job is sent until it was quiet for a while", async () => {
    const host = await ScriptedHost.connect(plane, "cloned");
    const twins = [randomUUID(), randomUUID()];
    let end = Status.OK;
    for (let turn = 0; end === Status.OK; turn += 1) {
      const stream = host.agent.connect();
      stream.sendHello(validHello({ hostname: "cloned", instanceId: twins[turn % 2] }));
      end = await Promise.race([stream.next().then(() => Status.OK), stream.ended.then(({ code }) => code)]);
    }
    expect(end).toBe(Status.ALREADY_EXISTS);
    expect(await untilAlert(host.hostId, AlertKind.DUPLICATE_IDENTITY)).toMatchObject({ timesRaised: 1 });
    expect((await plane.fleet.getHost({ hostId: host.hostId })).host?.identityDuplicated).toBe(true);
    expect((await refusalOf(plane.fleet.updateHost({ hostId: host.hostId })))?.reason).toBe(
      Refusal_Reason.IDENTITY_DUPLICATED,
    );

    for await (const { change } of plane.fleet.watchFleet({})) {
      if (change.case === "caughtUp") {
        await plane.database.db
          .updateTable("hosts")
          .set({ identity_duplicated_at: new Date(Date.UTC(2020, 0)) })
          .where("id", "=", host.hostId as never)
          .execute();
      }
      // Who watches is told of the host too, not of its alert alone.
      if (change.case === "host" && change.value.id === host.hostId && !change.value.identityDuplicated) break;
    }
    expect((await alertsOf({ hostId: host.hostId })).map(isResolved)).toEqual([true]);
  });
});

describe("an alert", () => {
  test("that somebody acknowledged stays open, says who it was, and keeps the first one", async () => {
    const host = await ScriptedHost.connect(plane, "acknowledged");
    await failOnce(host);
    const [alert] = await alertsOf({ hostId: host.hostId });
    const alertId = alert?.id ?? "";
    const first = await plane.fleet.acknowledgeAlert({ alertId });
    expect(first.alert).toMatchObject({ acknowledgedBy: "admin-token" });
    expect(first.alert?.acknowledgedAt).toBeDefined();
    expect(isResolved(first.alert)).toBe(false);
    expect((await plane.fleet.acknowledgeAlert({ alertId })).alert?.acknowledgedAt).toEqual(
      first.alert?.acknowledgedAt,
    );
    const { events } = await plane.fleet.listAuditEvents({ hostId: host.hostId, actionPrefix: "alert." });
    expect(events.map(({ actor, action }) => [actor, action])).toContainEqual(["admin-token", "alert.acknowledged"]);
  });

  test("that nobody knows is refused", async () => {
    const call = plane.fleet.acknowledgeAlert({ alertId: randomUUID() });
    expect((await refusalOf(call))?.reason).toBe(Refusal_Reason.ALERT_UNKNOWN);
  });

  test("comes to those who watch, with the same count as the list has", async () => {
    const host = await ScriptedHost.connect(plane, "watched");
    const leaving = new AbortController();
    let told: { alert: Alert; openAlerts: number } | undefined;
    for await (const { change, counts } of plane.fleet.watchFleet({}, { signal: leaving.signal })) {
      if (change.case === "caughtUp") await failOnce(host);
      if (change.case !== "alert" || change.value.hostId !== host.hostId) continue;
      told = { alert: change.value, openAlerts: counts?.openAlerts ?? 0 };
      break;
    }
    leaving.abort();
    expect(told?.alert).toMatchObject({ kind: AlertKind.UPDATE_FAILED, reason: "preflight_read_only" });
    expect(told?.openAlerts).toBe((await alertsOf({ openOnly: true, pageSize: 1000 })).length);
    expect((await plane.fleet.listHosts({})).counts?.openAlerts).toBe(told?.openAlerts);
  });
});

/** Every entry, page by page. */
async function readPages<Entry>(
  read: (pageToken: string) => Promise<{ readonly entries: readonly Entry[]; readonly nextPageToken: string }>,
): Promise<readonly (readonly Entry[])[]> {
  const pages = [];
  let pageToken = "";
  do {
    const { entries, nextPageToken } = await read(pageToken);
    pages.push(entries);
    pageToken = nextPageToken;
  } while (pageToken !== "");
  return pages;
}

describe("alerts are listed", () => {
  test("newest first, in pages that hold each one once", async () => {
    const all = (await alertsOf({ pageSize: 1000 })).map(({ id }) => id);
    expect(all.length).toBeGreaterThan(4);
    const pages = await readPages(async (pageToken) => {
      const { alerts, nextPageToken } = await plane.fleet.listAlerts({ pageSize: 2, pageToken });
      return { entries: alerts, nextPageToken };
    });
    expect(pages.slice(0, -1).every((page) => page.length === 2)).toBe(true);
    expect(pages.flat().map(({ id }) => id)).toEqual(all);
    const raised = pages.flat().map(({ raisedAt }) => (raisedAt ? timestampDate(raisedAt).getTime() : 0));
    expect(raised).toEqual(raised.toSorted((one, other) => other - one));
  });

  test("by kind, by host, and only the open ones", async () => {
    const all = await alertsOf({ pageSize: 1000 });
    const kinds = await alertsOf({ kind: AlertKind.HOST_OFFLINE, pageSize: 1000 });
    expect(kinds).toEqual(all.filter((alert) => alert.kind === AlertKind.HOST_OFFLINE));
    expect(await alertsOf({ openOnly: true, pageSize: 1000 })).toEqual(all.filter((alert) => !isResolved(alert)));
    const hostId = all.find((alert) => alert.hostId !== "")?.hostId ?? "";
    expect(await alertsOf({ hostId })).toEqual(all.filter((alert) => alert.hostId === hostId));
    expect(await alertsOf({ hostId: randomUUID() })).toEqual([]);
  });
});

describe("the audit log is listed", () => {
  test("newest first, in pages that hold each event once", async () => {
    const query = { actionPrefix: "host.enrolled" };
    const { events } = await plane.fleet.listAuditEvents({ ...query, pageSize: 1000 });
    const pages = await readPages(async (pageToken) => {
      const page = await plane.fleet.listAuditEvents({ ...query, pageSize: 3, pageToken });
      return { entries: page.events, nextPageToken: page.nextPageToken };
    });
    expect(pages.flat()).toEqual(events);
    const ids = events.map(({ id }) => id);
    expect(ids.length).toBeGreaterThan(3);
    expect(ids.every((id, index) => index === 0 || id < (ids[index - 1] ?? 0n))).toBe(true);
  });

  test("by host, job, fleet update, action and actor", async () => {
    const host = await ScriptedHost.connect(plane, "audited");
    const fleetUpdateId = await start([host]);
    const jobId = await host.failNext();
    await untilFleetUpdateSettled(plane.fleet, fleetUpdateId);
    const actions = async (query: Parameters<typeof plane.fleet.listAuditEvents>[0]) =>
      (await plane.fleet.listAuditEvents(query)).events.map(({ actor, action }) => `${actor} ${action}`);
    const dispatched = "admin-token host.update_dispatched";
    const failed = "host host.update_failed";
    const halted = "rollcall fleet.update_halted";
    const started = "admin-token fleet.update_started";
    expect(await actions({ jobId })).toEqual([failed, dispatched]);
    expect(await actions({ fleetUpdateId })).toEqual([halted, failed, dispatched, started]);
    expect(await actions({ hostId: host.hostId })).toEqual([halted, failed, dispatched, "host host.enrolled"]);
    expect(await actions({ fleetUpdateId, actionPrefix: "fleet." })).toEqual([halted, started]);
    expect(await actions({ fleetUpdateId, actor: "admin-token" })).toEqual([dispatched, started]);
    // A prefix, not a pattern.
    expect(await actions({ actionPrefix: "%" }).catch(() => [])).toEqual([]);
    const [event] = (await plane.fleet.listAuditEvents({ jobId })).events;
    expect(event).toMatchObject({ hostId: host.hostId, jobId, fleetUpdateId, cause: "the host reported it" });
    expect(JSON.parse(event?.details ?? "")).toMatchObject({
      from_version: OLD_VERSION,
      to_version: NEW_VERSION,
      reason: "preflight_read_only",
    });
  });
});

test.each(["listAlerts", "listAuditEvents"] as const)("%s refuses a page token that it never gave", async (method) => {
  for (const parts of [["x"], ["2026-01-01T00:00:00.000Z"], [1], {}]) {
    const pageToken = Buffer.from(JSON.stringify(parts)).toString("base64url");
    const error = await plane.fleet[method]({ pageToken }).catch((reason: unknown) => ConnectError.from(reason));
    expect(error).toBeInstanceOf(ConnectError);
    expect((error as ConnectError).code).toBe(Code.InvalidArgument);
    expect((error as ConnectError).message).toMatch(/pageToken/);
  }
});
