/** What the audit log promises: nobody rewrites it, and nothing happens without it. */
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Code, ConnectError } from "@connectrpc/connect";
import { UpdatePhase } from "../../../gen/rollcall/v1/agent_pb.js";
import { FleetUpdateState } from "../../../gen/rollcall/v1/rollout_pb.js";
import { writeAuditEvent } from "../../../server/store/audit-events.ts";
import { findOpenSockets } from "../../agent/open-sockets.ts";
import { NEW_VERSION, startControlPlane, type ControlPlane } from "../../support/control-plane.ts";
import { createTestDatabase, type TestDatabase } from "../../support/test-database.ts";
import { FAILURE, ScriptedHost } from "../../support/scripted-host.ts";

afterAll(async () => expect(await findOpenSockets()).toEqual([]));

/** From now on no audit event can be written, as if the disk were full for that table alone. */
const breakAuditLog = ({ database }: ControlPlane) =>
  sql`alter table audit_events add constraint broken check (false) not valid`.execute(database.ownerDb);

/** Everything that audited changes change. Without instants that pass by themselves. */
async function readState({ database }: ControlPlane): Promise<unknown> {
  const { rows } = await sql`
    select
      (select jsonb_agg(to_jsonb(hosts) - 'last_seen_at' - 'offline_at' order by id) from hosts) as hosts,
      (select jsonb_agg(to_jsonb(jobs) - 'deadline_at' order by id) from jobs) as jobs,
      (select jsonb_agg(fleet_updates order by id) from fleet_updates) as fleet_updates,
      (select jsonb_agg(h order by fleet_update_id, position) from fleet_update_hosts as h) as fleet_update_hosts,
      (select jsonb_agg(alerts order by id) from alerts) as alerts,
      (select jsonb_agg(t order by id) from enrollment_tokens as t) as tokens,
      (select jsonb_agg(target_versions) from target_versions) as targets
  `.execute(database.ownerDb);
  return rows;
}

describe("the application's role", () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase();
    const actions = ["host.enrolled", "host.removed"] as const;
    for (const action of actions) await writeAuditEvent(database.db, { actor: "ada", action, cause: "a test" });
  });
  afterAll(() => database[Symbol.asyncDispose]());

  test.each([
    ["update", sql`update audit_events set actor = 'nobody'`],
    ["delete", sql`delete from audit_events`],
    ["truncate", sql`truncate audit_events`],
    ["alter", sql`alter table audit_events disable trigger all`],
    ["drop", sql`drop table audit_events`],
  ])("may not %s audit events", async (_, statement) => {
    const read = () => database.db.selectFrom("audit_events").selectAll().orderBy("id").execute();
    const before = await read();
    expect(before).toHaveLength(2);
    // 42501 insufficient_privilege.
    await expect(statement.execute(database.db)).rejects.toMatchObject({ code: "42501" });
    expect(await read()).toEqual(before);
  });

  test("may not date an audit event back over the identity of another", async () => {
    const insert = sql`insert into audit_events (id, actor, action, cause) values (1, 'x', 'x', 'x')`;
    // 428C9 generated_always.
    await expect(insert.execute(database.db)).rejects.toMatchObject({ code: "428C9" });
  });
});

test("nothing that is audited happens when its audit event can't be written", async () => {
  await using plane = await startControlPlane();
  const { fleet } = plane;
  const busy = await ScriptedHost.connect(plane, "busy");
  const { job } = await fleet.updateHost({ hostId: busy.hostId });
  const failed = await ScriptedHost.connect(plane, "failed");
  await fleet.updateHost({ hostId: failed.hostId });
  await plane.untilEnded(await failed.failNext());
  const idle = await ScriptedHost.connect(plane, "idle");
  const [alert] = (await fleet.listAlerts({})).alerts;
  const { token, tokenId } = await fleet.createEnrollmentToken({ label: "unused" });
  const before = await readState(plane);

  await breakAuditLog(plane);
  const acts: Readonly<Record<string, () => Promise<unknown>>> = {
    updateHost: () => fleet.updateHost({ hostId: idle.hostId }),
    cancelJob: () => fleet.cancelJob({ jobId: job?.id ?? "" }),
    startFleetUpdate: () => fleet.startFleetUpdate({}),
    removeHost: () => fleet.removeHost({ hostId: idle.hostId }),
    acknowledgeAlert: () => fleet.acknowledgeAlert({ alertId: alert?.id ?? "" }),
    setTargetVersion: () => fleet.setTargetVersion({ version: NEW_VERSION }),
    createEnrollmentToken: () => fleet.createEnrollmentToken({ label: "never" }),
    revokeEnrollmentToken: () => fleet.revokeEnrollmentToken({ tokenId }),
  };
  for (const [name, act] of Object.entries(acts)) {
    const error = await act().then(
      () => undefined,
      (reason: unknown) => ConnectError.from(reason),
    );
    expect(error?.code, name).toBe(Code.Internal);
    expect(await readState(plane), name).toEqual(before);
  }
  await expect(idle.agent.enroll({ token, hostname: "never", os: "linux", arch: "x64" })).rejects.toThrow(/INTERNAL/);
  expect(await readState(plane), "enrol").toEqual(before);
  // What an agent says is not taken either: its stream ends, so that it says it again.
  const { jobId } = await busy.commanded();
  busy.stream.sendProgress({ jobId, ...FAILURE });
  await busy.stream.ended;
  expect(await readState(plane), "progress").toEqual(before);
});

test("a fleet update neither halts nor is cancelled without its audit event", async () => {
  await using plane = await startControlPlane();
  const { fleet } = plane;
  const host = await ScriptedHost.connect(plane, "a");
  const { fleetUpdate } = await fleet.startFleetUpdate({});
  const { jobId } = await host.commanded();
  host.stream.sendProgress({ jobId, phase: UpdatePhase.DOWNLOADING, bytesDone: 1n, bytesTotal: 2n });
  await breakAuditLog(plane);
  await expect(fleet.cancelFleetUpdate({ fleetUpdateId: fleetUpdate?.id ?? "" })).rejects.toThrow(/internal/);
  // The job itself ends, by the owner's hand: only the loop is left with something to write.
  await sql`update jobs set state = 'failed', reason = 'no_progress', deadline_at = null, ended_at = clock_timestamp()`.execute(
    plane.database.ownerDb,
  );
  const unrecorded = () => plane.log.filter((line) => line.includes("fleet update round failed")).length;
  while (unrecorded() === 0) await fleet.listFleetUpdates({});
  const { fleetUpdates } = await fleet.listFleetUpdates({});
  expect(fleetUpdates).toMatchObject([{ state: FleetUpdateState.RUNNING, haltReason: "" }]);
  expect((await fleet.listAlerts({})).alerts).toEqual([]);
});
