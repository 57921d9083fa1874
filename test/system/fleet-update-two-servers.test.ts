/**
 * Who runs fleet updates when servers stand still or restart. Two servers on one
 * database: one leads, and is frozen and thawed again at the worst moments.
 */
import { sql } from "kysely";
import { afterAll, expect, test } from "vitest";
import { FleetUpdateState } from "../../gen/rollcall/v1/rollout_pb.js";
import { findOpenSockets } from "../agent/open-sockets.ts";
import { ChildFleet, type ChildFleetHost, type FleetDatabase } from "../support/child-fleet.ts";
import { FewAtATime } from "../support/few-at-a-time.ts";
import { hostStates, untilFleetUpdateSettled } from "../support/fleet-update-end.ts";
import type { ServerChild } from "../support/server-child.ts";

const TIMEOUT_MS = 120_000;
const durations = { tickIntervalMs: 200, leaseMs: 3_000 };
const lanes = new FewAtATime(2);

afterAll(async () => expect(await findOpenSockets()).toEqual([]));

interface Pair {
  readonly leader: ServerChild;
  readonly follower: ServerChild;
  readonly hosts: readonly [ChildFleetHost, ChildFleetHost, ChildFleetHost];
  readonly fleetUpdateId: string;
  /** Lets host a, which is told to restart, do so. */
  readonly swap: () => void;
}

/** A fleet update under way: a leader with host a, whose turn it is, and a follower with hosts b and c. */
async function startPair(fleet: ChildFleet): Promise<Pair> {
  const leader = fleet.addServer("leader");
  await leader.start();
  const swapping = Promise.withResolvers<void>();
  const swap = Promise.withResolvers<void>();
  const a = await fleet.addHost(leader, "a", {
    prepare: (platform) =>
      platform.before("swap", () => {
        swapping.resolve();
        return swap.promise;
      }),
  });
  const enrolled = [await fleet.enrol(leader, "b"), await fleet.enrol(leader, "c")] as const;
  const hostIds = [a, ...enrolled].map(({ hostId }) => hostId);
  const { fleetUpdate } = await (await leader.fleet()).startFleetUpdate({ hostIds });
  await swapping.promise;
  // Only now: the first to look at a fleet update leads.
  const follower = await fleet.addReplica("follower", "leader");
  const [b, c] = enrolled;
  return {
    leader,
    follower,
    hosts: [
      a,
      { ...b, host: await fleet.connect(follower, "b", b.credential) },
      { ...c, host: await fleet.connect(follower, "c", c.credential) },
    ],
    fleetUpdateId: fleetUpdate?.id ?? "",
    swap: swap.resolve,
  };
}

const leaseOf = (database: FleetDatabase) =>
  database.db
    .selectFrom("leases")
    .select(["holder", "epoch"])
    .where("name", "=", "fleet_updates")
    .executeTakeFirstOrThrow();

/** Asks the database until the answer is yes: what other processes do there tells nobody. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo()));
}

/** Resolves once a query with these words waits for a lock. Only a leader asks those that are named here. */
const untilBlocked = (database: FleetDatabase, words: string): Promise<void> =>
  until(async () => {
    const { rows } = await sql`
      select from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock' and strpos(query, ${words}) > 0
    `.execute(database.ownerDb);
    return rows.length > 0;
  });

const untilLeads = (database: FleetDatabase, epoch: bigint): Promise<void> =>
  until(async () => (await leaseOf(database)).epoch === epoch);

const untilUpdated = (database: FleetDatabase, { hostId }: ChildFleetHost): Promise<void> =>
  until(async () => {
    const jobs = await database.db
      .selectFrom("jobs")
      .select("state")
      .where("host_id", "=", hostId as never)
      .execute();
    return jobs.some((job) => job.state === "succeeded");
  });

/** What must be so in the end, whichever server did what. */
async function expectEachOnce(fleet: ChildFleet, pair: Pair, second: ServerChild): Promise<void> {
  const found = await untilFleetUpdateSettled(await second.fleet(), pair.fleetUpdateId);
  expect(found.fleetUpdate?.state).toBe(FleetUpdateState.COMPLETED);
  expect(hostStates(found)).toEqual(["a SUCCEEDED", "b SUCCEEDED", "c SUCCEEDED"]);
  expect(pair.hosts.map(({ host }) => host.swaps)).toEqual([1, 1, 1]);
  const dispatched = await fleet.database.db
    .selectFrom("audit_events")
    .select("host_id")
    .where("action", "=", "host.update_dispatched")
    .orderBy("id")
    .execute();
  expect(dispatched.map((event) => event.host_id)).toEqual(pair.hosts.map(({ hostId }) => hostId));
}

/** The other leads, and the right to lead did not go back and forth. */
async function expectOneTakeover(
  database: FleetDatabase,
  before: { readonly holder: string; readonly epoch: bigint },
): Promise<void> {
  const after = await leaseOf(database);
  expect(after.epoch).toBe(before.epoch + 1n);
  expect(after.holder).not.toBe(before.holder);
}

test.concurrent(
  "a leader frozen between its plan and its write is fenced: another took over, and nothing is sent twice",
  () =>
    lanes.run(async () => {
      await using fleet = await ChildFleet.create(durations);
      const { database } = fleet;
      const pair = await startPair(fleet);
      const { leader, follower } = pair;
      const before = await leaseOf(database);

      // The plan reads this table: by then the leader holds the lease, and has begun no transaction.
      await database.ownerDb.transaction().execute(async (tx) => {
        await sql`lock table quarantined_artifacts in access exclusive mode`.execute(tx);
        await untilBlocked(database, "quarantined_artifacts");
        pair.swap();
        await untilUpdated(database, pair.hosts[0]);
        leader.freeze();
      });
      await untilLeads(database, before.epoch + 1n);
      // It wakes up with a plan to settle a and to dispatch b.
      leader.thaw();
      await leader.untilLogged("another server runs fleet updates now");

      await expectEachOnce(fleet, pair, follower);
      await expectOneTakeover(database, before);
    }),
  TIMEOUT_MS,
);

test.concurrent(
  "a leader frozen inside its transaction holds nobody up for longer than its lease, and leaves nothing of it",
  () =>
    lanes.run(async () => {
      await using fleet = await ChildFleet.create(durations);
      const { database } = fleet;
      const pair = await startPair(fleet);
      const { leader, follower, hosts } = pair;
      const before = await leaseOf(database);

      await database.db.transaction().execute(async (tx) => {
        await tx
          .selectFrom("hosts")
          .select("id")
          .where("id", "=", hosts[1].hostId as never)
          .forUpdate()
          .execute();
        pair.swap();
        // What decides a dispatch is read with the host's row locked.
        await untilBlocked(database, 'as "is_online"');
        leader.freeze();
      });
      await untilLeads(database, before.epoch + 1n);
      leader.thaw();
      await leader.untilLogged("fleet update round failed");
      // Not even a lock's time limit was reached.
      expect(follower.log).not.toContain("fleet update round failed");
      await expectEachOnce(fleet, pair, follower);
      await expectOneTakeover(database, before);
    }),
  TIMEOUT_MS,
);

test.concurrent(
  "hosts that back off while the server restarts are waited for, and halt nothing",
  () =>
    lanes.run(async () => {
      await using fleet = await ChildFleet.create({ offlineAfterMs: 300, tickIntervalMs: 200 });
      const server = fleet.addServer("data");
      await server.start();
      const probing = Promise.withResolvers<void>();
      const probed = Promise.withResolvers<void>();
      const a = await fleet.addHost(server, "a", {
        prepare: (platform) =>
          platform.before("probe", () => {
            probing.resolve();
            return probed.promise;
          }),
      });
      const b = await fleet.addHost(server, "b");
      const c = await fleet.addHost(server, "c");
      const { fleetUpdate } = await (await server.fleet()).startFleetUpdate({});
      await probing.promise;
      await server.kill();
      // As if it backed off: nobody but itself knows when it comes back.
      await b.host[Symbol.asyncDispose]();
      await server.start();
      probed.resolve();
      await untilUpdated(fleet.database, a);
      await until(async () => (await (await server.fleet()).listJobs({ hostId: b.hostId })).jobs.length === 1);

      const returned = await fleet.connect(server, "b", b.credential);
      const found = await untilFleetUpdateSettled(await server.fleet(), fleetUpdate?.id ?? "");
      expect(found.fleetUpdate?.state).toBe(FleetUpdateState.COMPLETED);
      expect(hostStates(found)).toEqual(["a SUCCEEDED", "b SUCCEEDED", "c SUCCEEDED"]);
      expect([a.host.swaps, returned.swaps, c.host.swaps]).toEqual([1, 1, 1]);
    }),
  TIMEOUT_MS,
);
