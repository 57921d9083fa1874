import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { sql } from "kysely";
import { LastUpdate_Outcome } from "../../../gen/rollcall/v1/agent_pb.js";
import { JobReason, JobState, Refusal_Reason } from "../../../gen/rollcall/v1/model_pb.js";
import { FleetUpdateState } from "../../../gen/rollcall/v1/rollout_pb.js";
import { findOpenSockets } from "../../agent/open-sockets.ts";
import { NEW_VERSION, OLD_VERSION, startControlPlane, type ControlPlane } from "../../support/control-plane.ts";
import { hostStates, untilFleetUpdateSettled } from "../../support/fleet-update-end.ts";
import { refusalOf } from "../../support/refusal-of.ts";
import { ScriptedHost } from "../../support/scripted-host.ts";

let plane: ControlPlane;
beforeEach(async () => {
  plane = await startControlPlane();
});
afterEach(() => plane[Symbol.asyncDispose]());
afterAll(async () => expect(await findOpenSockets()).toEqual([]));

async function artifact() {
  const { releases } = await plane.fleet.listReleases({});
  const found = releases.find(({ version }) => version === NEW_VERSION)?.artifacts[0];
  if (found === undefined) throw new Error("the release has no artifact");
  return found;
}

async function actions(): Promise<readonly string[]> {
  const { events } = await plane.fleet.listAuditEvents({ actionPrefix: "release.quarantine" });
  return events.map(({ action }) => action).toReversed();
}

function sayRolledBack(host: ScriptedHost, jobId: string) {
  const lastUpdate = { jobId, outcome: LastUpdate_Outcome.ROLLED_BACK, reason: JobReason.CRASHED };
  return host.hello({ agentVersion: OLD_VERSION, lastUpdate });
}

/** A host that restarts into the new version and goes back. */
async function rollBack(host: ScriptedHost, ignoreQuarantine = false): Promise<void> {
  const { job } = await plane.fleet.updateHost({ hostId: host.hostId, ignoreQuarantine });
  await sayRolledBack(host, await host.reachCommit());
  expect((await plane.untilEnded(job?.id ?? "")).state).toBe(JobState.ROLLED_BACK);
}

const connect = (name: string) => ScriptedHost.connect(plane, name);

describe("an artifact", () => {
  test("that rolled back on two hosts is sent to nobody who was not told to take it", async () => {
    const [a, b, c] = [await connect("a"), await connect("b"), await connect("c")];
    await rollBack(a);
    expect(await artifact()).toMatchObject({ quarantined: false, rolledBackHosts: 1 });
    await rollBack(b);
    const { sha256, ...quarantined } = await artifact();
    expect(quarantined).toMatchObject({ quarantined: true, rolledBackHosts: 2 });

    const refusal = await refusalOf(plane.fleet.updateHost({ hostId: c.hostId }));
    expect(refusal).toMatchObject({ reason: Refusal_Reason.QUARANTINED, details: { sha256, host_id: c.hostId } });
    const { fleetUpdate } = await plane.fleet.startFleetUpdate({ hostIds: [c.hostId, a.hostId] });
    const found = await untilFleetUpdateSettled(plane.fleet, fleetUpdate?.id ?? "");
    expect(found.fleetUpdate).toMatchObject({ state: FleetUpdateState.HALTED, haltReason: "quarantined" });
    expect(hostStates(found)).toEqual(["c FAILED quarantined", "a PENDING"]);
    expect((await plane.fleet.listJobs({ hostId: c.hostId })).jobs).toEqual([]);

    await plane.fleet.updateHost({ hostId: c.hostId, ignoreQuarantine: true });
    const jobId = await c.reachCommit();
    await c.helloUpdated(jobId, NEW_VERSION);
    expect((await plane.untilEnded(jobId)).state).toBe(JobState.SUCCEEDED);
    const { events } = await plane.fleet.listAuditEvents({ hostId: c.hostId });
    expect(events.find(({ action }) => action === "host.update_dispatched")?.cause).toMatch(/quarantined/);
  });

  test("is quarantined with the outcome that makes it two, and the audit log says which", async () => {
    const [a, b] = [await connect("a"), await connect("b")];
    await rollBack(a);
    expect(await actions()).toEqual([]);
    await rollBack(b);
    const { sha256 } = await artifact();
    const { events } = await plane.fleet.listAuditEvents({ actionPrefix: "release.quarantined" });
    expect(events).toHaveLength(1);
    expect(events[0]).toMatchObject({ actor: "rollcall", hostId: b.hostId, cause: "it rolled back on 2 hosts" });
    expect(JSON.parse(events[0]?.details ?? "")).toMatchObject({ sha256, version: NEW_VERSION, hosts: 2 });
    // The outcome and the quarantine are of one transaction.
    const { rows } = await sql<{ transactions: bigint }>`
      select count(distinct xmin::text) as transactions from (
        select xmin from quarantined_artifacts
        union all select xmin from jobs where host_id = ${b.hostId}
      ) as written
    `.execute(plane.database.db);
    expect(Number(rows[0]?.transactions)).toBe(1);
  });

  test("that one host rolls back again and again stays free", async () => {
    const a = await connect("a");
    for (let times = 0; times < 3; times += 1) await rollBack(a);
    expect(await artifact()).toMatchObject({ quarantined: false, rolledBackHosts: 1 });
  });

  test("is not blamed by a host that was not told to restart", async () => {
    await rollBack(await connect("a"));
    const liar = await connect("b");
    const { job } = await plane.fleet.updateHost({ hostId: liar.hostId });
    const { jobId } = await liar.commanded();
    await sayRolledBack(liar, jobId);
    const ended = await plane.untilEnded(job?.id ?? "");
    expect([ended.state, ended.committedAt]).toEqual([JobState.ROLLED_BACK, undefined]);
    expect(await artifact()).toMatchObject({ quarantined: false, rolledBackHosts: 1 });
  });

  test("is blamed by a host that was given up for lost and comes back with the former version", async () => {
    await rollBack(await connect("a"));
    const late = await connect("b");
    await plane.fleet.updateHost({ hostId: late.hostId });
    const jobId = await late.reachCommit();
    await late.leave();
    const { db } = plane.database;
    await db
      .updateTable("jobs")
      .set({ deadline_at: sql<Date>`clock_timestamp()` })
      .where("id", "=", jobId as never)
      .execute();
    expect(await plane.untilEnded(jobId)).toMatchObject({ state: JobState.FAILED, reason: JobReason.AGENT_LOST });
    expect((await artifact()).quarantined).toBe(false);
    await sayRolledBack(late, jobId);
    expect((await plane.fleet.getJob({ jobId })).job?.state).toBe(JobState.ROLLED_BACK);
    expect(await artifact()).toMatchObject({ quarantined: true, rolledBackHosts: 2 });
  });
});

test("hosts are marked for everybody who watches while what they would be sent is quarantined", async () => {
  const [a, b, c] = [await connect("a"), await connect("b"), await connect("c")];
  const leaving = new AbortController();
  /** What each host is marked as at the end of each snapshot that a watcher is given. */
  const marks = (async function* () {
    const marked = new Map<string, boolean>();
    for await (const { change } of plane.fleet.watchFleet({}, { signal: leaving.signal })) {
      if (change.case === "snapshot") {
        for (const { hostname, targetQuarantined } of change.value.hosts) marked.set(hostname, targetQuarantined);
      }
      if (change.case === "caughtUp")
        yield Array.from(marked, ([name, isMarked]) => `${name},${isMarked}`)
          .toSorted()
          .join(" ");
    }
  })();
  expect((await marks.next()).value).toBe("a,false b,false c,false");
  await rollBack(a);
  await rollBack(b);
  // A snapshot of its own: no other host changed.
  expect((await marks.next()).value).toBe("a,true b,true c,true");
  expect((await plane.fleet.getHost({ hostId: c.hostId })).host?.targetQuarantined).toBe(true);
  await plane.fleet.liftQuarantine({ sha256: (await artifact()).sha256 });
  expect((await marks.next()).value).toBe("a,false b,false c,false");
  leaving.abort();
});

describe("lifting a quarantine", () => {
  test("lets the artifact be sent again, and forgets what counted against it", async () => {
    const [a, b, c] = [await connect("a"), await connect("b"), await connect("c")];
    await rollBack(a);
    await rollBack(b);
    const { sha256 } = await artifact();
    await plane.fleet.liftQuarantine({ sha256 });
    expect(await artifact()).toMatchObject({ quarantined: false, rolledBackHosts: 0 });
    await rollBack(c);
    expect(await artifact()).toMatchObject({ quarantined: false, rolledBackHosts: 1 });
    await rollBack(a);
    expect((await artifact()).quarantined).toBe(true);
    expect(await actions()).toEqual(["release.quarantined", "release.quarantine_lifted", "release.quarantined"]);
  });

  test("asked for twice is done once, and names who asked", async () => {
    await rollBack(await connect("a"));
    await rollBack(await connect("b"));
    const { sha256 } = await artifact();
    await plane.fleet.liftQuarantine({ sha256 });
    await plane.fleet.liftQuarantine({ sha256 });
    const { events } = await plane.fleet.listAuditEvents({ actionPrefix: "release.quarantine_lifted" });
    expect(events.map(({ actor }) => actor)).toEqual(["admin-token"]);
    expect(JSON.parse(events[0]?.details ?? "")).toMatchObject({ sha256, hosts: 2 });
  });

  test("of an artifact that is not quarantined leaves its count as it is", async () => {
    await rollBack(await connect("a"));
    await plane.fleet.liftQuarantine({ sha256: (await artifact()).sha256 });
    expect(await artifact()).toMatchObject({ quarantined: false, rolledBackHosts: 1 });
    expect(await actions()).toEqual([]);
  });

  test("of an artifact that nobody knows is refused", async () => {
    const sha256 = "0".repeat(64);
    const refusal = await refusalOf(plane.fleet.liftQuarantine({ sha256 }));
    expect(refusal).toMatchObject({ reason: Refusal_Reason.ARTIFACT_UNKNOWN, details: { sha256 } });
  });
});
