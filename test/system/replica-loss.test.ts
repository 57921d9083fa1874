/**
 * A fleet update over hosts of two servers, one of which ends: at once, in order or
 * frozen; or whose database does. Whatever ends, every host is brought to the new
 * version once, and none is forgotten.
 */
import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, expect, test } from "vitest";
import { FleetUpdateState } from "../../gen/rollcall/v1/rollout_pb.js";
import { findOpenSockets } from "../agent/open-sockets.ts";
import { ChildFleet, type ChildFleetHost } from "../support/child-fleet.ts";
import { FewAtATime } from "../support/few-at-a-time.ts";
import { untilFleetUpdateSettled } from "../support/fleet-update-end.ts";
import { startOwnDatabase } from "../support/own-database.ts";
import type { ServerChild } from "../support/server-child.ts";
import { watchUntil } from "../support/watch-until.ts";

const TIMEOUT_MS = 240_000;
const durations = { tickIntervalMs: 200, leaseMs: 4_000 };

afterAll(async () => expect(await findOpenSockets()).toEqual([]));

interface Pair {
  readonly fleet: ChildFleet;
  readonly first: ServerChild;
  readonly second: ServerChild;
  readonly hosts: readonly ChildFleetHost[];
}

/** Two servers, and so many hosts, half of them connected to each. All know both. */
async function connectFleet(fleet: ChildFleet, count: number): Promise<Pair> {
  const first = fleet.addServer("first");
  await first.start();
  const second = await fleet.addReplica("second", "first");
  const lanes = new FewAtATime(8);
  const hosts = await Promise.all(
    Array.from({ length: count }, (_, index) =>
      lanes.run(async () => {
        const hostname = `host-${String(index).padStart(3, "0")}`;
        const enrolled = await fleet.enrolDirectly(first, hostname);
        const servers = index % 2 === 0 ? ([first, second] as const) : ([second, first] as const);
        return { ...enrolled, host: await fleet.connect(servers, hostname, enrolled.credential) };
      }),
    ),
  );
  return { fleet, first, second, hosts };
}

/** Starts an update of the whole fleet, so many at a time. */
async function startUpdate({ second }: Pair, maxInFlight: number): Promise<string> {
  const { fleetUpdate } = await (await second.fleet()).startFleetUpdate({ policy: { maxInFlight } });
  return fleetUpdate?.id ?? "";
}

/** Resolves once so many hosts are updated, or it ended, as that server tells; it may not be able to for a while. */
async function untilSucceeded(server: ServerChild, fleetUpdateId: string, count: number): Promise<void> {
  const client = await server.fleet();
  const watch = (): Promise<boolean> =>
    watchUntil(client, async (change) => {
      if (change.case !== "caughtUp" && change.case !== "fleetUpdate") return undefined;
      const { fleetUpdate } = await client.getFleetUpdate({ fleetUpdateId });
      const hasEnded = fleetUpdate?.state !== FleetUpdateState.RUNNING;
      return hasEnded || (fleetUpdate.counts?.succeeded ?? 0) >= count ? true : undefined;
    });
  for (;;) {
    try {
      await watch();
      return;
    } catch (error) {
      if (!(error instanceof ConnectError) || error.code !== Code.Unavailable) throw error;
    }
  }
}

/** What must be so in the end, whatever ended in between. */
async function expectEachOnce({ fleet, hosts }: Pair, server: ServerChild, fleetUpdateId: string): Promise<void> {
  const found = await untilFleetUpdateSettled(await server.fleet(), fleetUpdateId);
  expect(found.fleetUpdate?.haltReason).toBe("");
  expect(found.fleetUpdate?.state).toBe(FleetUpdateState.COMPLETED);
  expect(found.fleetUpdate?.counts?.succeeded).toBe(hosts.length);
  expect(hosts.filter(({ host }) => host.swaps !== 1)).toEqual([]);
  const { db } = fleet.database;
  const dispatched = await db
    .selectFrom("audit_events")
    .select("host_id")
    .where("action", "=", "host.update_dispatched")
    .execute();
  expect(dispatched.length).toBe(hosts.length);
  expect(new Set(dispatched.map((event) => event.host_id))).toEqual(new Set(hosts.map(({ hostId }) => hostId)));
  const alerts = await db.selectFrom("alerts").select("kind").execute();
  expect(alerts).toEqual([]);
}

/** Resolves once every host has a session, all of them at one server. */
async function untilAllTogether({ fleet, hosts }: Pair): Promise<void> {
  for (;;) {
    const sessions = await fleet.database.db
      .selectFrom("agent_sessions")
      .select("replica_id")
      .where("closed_at", "is", null)
      .execute();
    const isOneServer = new Set(sessions.map((session) => session.replica_id)).size === 1;
    if (sessions.length === hosts.length && isOneServer) return;
  }
}

test(
  "a server that is killed loses no host to the other",
  async () => {
    await using fleet = await ChildFleet.create(durations);
    const pair = await connectFleet(fleet, 200);
    const { first, second } = pair;
    const id = await startUpdate(pair, 20);
    await untilSucceeded(second, id, 40);
    await first.kill();
    await expectEachOnce(pair, second, id);
    await untilAllTogether(pair);
  },
  TIMEOUT_MS,
);

test(
  "a database that restarts costs neither server a host",
  async () => {
    await using database = await startOwnDatabase();
    // The fleet's own end comes before the database's.
    const lent = { ...database, [Symbol.asyncDispose]: async () => undefined };
    await using fleet = await ChildFleet.create(durations, async () => lent);
    const pair = await connectFleet(fleet, 60);
    const { first, second } = pair;
    const id = await startUpdate(pair, 6);
    await untilSucceeded(second, id, 12);
    await database.restart();
    await untilSucceeded(second, id, 60);
    await expectEachOnce(pair, second, id);
    expect(first.log + second.log).not.toContain("a server is gone");
  },
  TIMEOUT_MS,
);

test(
  "a server that stood still is fenced and sends its agents away, and servers are renewed one after the other",
  async () => {
    await using fleet = await ChildFleet.create(durations);
    const pair = await connectFleet(fleet, 60);
    const { first, second } = pair;
    const id = await startUpdate(pair, 4);
    await untilSucceeded(second, id, 8);
    first.freeze();
    await second.untilLogged("a server is gone");
    first.thaw();
    await first.untilLogged("took this one for dead");

    await untilSucceeded(second, id, 20);
    await first.stop();
    await untilSucceeded(second, id, 30);
    await first.start();
    await second.stop();
    await untilSucceeded(first, id, 40);
    await second.start();
    await expectEachOnce(pair, first, id);
  },
  TIMEOUT_MS,
);
