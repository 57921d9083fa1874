/**
 * A thousand hosts through one fleet update: real agent sessions over real streams up
 * to the disk, one real server process on its own PostgreSQL. What the database is
 * asked is counted by PostgreSQL itself.
 */
import type { Client } from "@connectrpc/connect";
import type pg from "pg";
import { systemClock } from "../../agent/clock-system.ts";
import type { FleetService } from "../../gen/rollcall/v1/fleet_pb.js";
import { FleetUpdateState } from "../../gen/rollcall/v1/rollout_pb.js";
import { MemoryHost } from "../support/memory-host.ts";
import { ScriptedAgent } from "../support/scripted-agent.ts";
import type { ServerChild } from "../support/server-child.ts";
import { startOwnServer } from "./own-server.ts";
import { stopwatchMs } from "./stopwatch-clock.ts";
import type { Suite } from "./suite.ts";

const HOSTS = 1_000;
const MAX_IN_FLIGHT = 50;
/** Hosts that connect at once: strangers of one address are few on purpose. */
const CONNECTING = 10;
const [OLD_VERSION, NEW_VERSION] = ["1.0.0", "2.0.0"];

/** Hosts a second, and what the database does for each. */
export const fleetSuite: Suite = {
  name: "fleet",
  async run(print, signal) {
    await using parts = new AsyncDisposableStack();
    const settings = { shared_preload_libraries: "pg_stat_statements" };
    const { database, server } = parts.use(await startOwnServer({ version: NEW_VERSION, settings }, signal));
    await database.query("create extension pg_stat_statements");
    const client = await server.fleet();
    print(`${HOSTS} hosts connect …`);
    await connectHosts(parts, client, server);
    await database.query("select pg_stat_statements_reset()");
    const walBefore = await walPosition(database);
    const startedMs = stopwatchMs();
    const ended = await runFleetUpdate(client, signal);
    const elapsedMs = stopwatchMs() - startedMs;
    const asked = await database.query<{ calls: string; rows: string }>(
      "select sum(calls) as calls, sum(rows) as rows from pg_stat_statements where dbid = (select oid from pg_database where datname = current_database())",
    );
    const walBytes = (await walPosition(database)) - walBefore;
    const perHost = (total: number): number => Math.round((total / HOSTS) * 10) / 10;
    const facts = {
      hosts: HOSTS,
      maxInFlight: MAX_IN_FLIGHT,
      succeeded: ended.counts?.succeeded ?? 0,
      elapsedMs: Math.round(elapsedMs),
      hostsPerSecond: Math.round((HOSTS / elapsedMs) * 10_000) / 10,
      statementsPerHost: perHost(Number(asked.rows[0]?.calls)),
      rowsPerHost: perHost(Number(asked.rows[0]?.rows)),
      walBytesPerHost: perHost(walBytes),
    };
    for (const [name, value] of Object.entries(facts)) print(`${name.padEnd(20)}${String(value).padStart(12)}`);
    return facts;
  },
};

async function connectHosts(
  parts: AsyncDisposableStack,
  client: Client<typeof FleetService>,
  server: ServerChild,
): Promise<void> {
  const caPem = await server.caPem();
  const { token } = await client.createEnrollmentToken({ label: "bench", maxUses: HOSTS });
  const connectOne = async (index: number): Promise<void> => {
    const hostname = `bench-${String(index).padStart(4, "0")}`;
    using agent = new ScriptedAgent({ address: server.agents, caPem });
    const { credential } = await agent.enroll({ token, hostname, os: "linux", arch: "x64" });
    const host = parts.use(
      new MemoryHost({ hostname, version: OLD_VERSION, server: server.agents, caPem, credential, restartMs: 100 }),
    );
    await host.log.until("connected");
  };
  for (let index = 0; index < HOSTS; index += CONNECTING) {
    await Promise.all(Array.from({ length: CONNECTING }, (_, lane) => connectOne(index + lane)));
  }
}

async function runFleetUpdate(client: Client<typeof FleetService>, signal: AbortSignal) {
  const { fleetUpdate } = await client.startFleetUpdate({ policy: { maxInFlight: MAX_IN_FLIGHT } });
  for (;;) {
    const found = await client.getFleetUpdate({ fleetUpdateId: fleetUpdate?.id ?? "" });
    if (found.fleetUpdate !== undefined && found.fleetUpdate.state !== FleetUpdateState.RUNNING)
      return found.fleetUpdate;
    await systemClock.sleep(500, signal);
  }
}

async function walPosition(database: pg.Client): Promise<number> {
  const { rows } = await database.query<{ bytes: string }>("select pg_current_wal_lsn() - '0/0' as bytes");
  return Number(rows[0]?.bytes);
}
