import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { UpdatePhase, type FetchBlocksResponse } from "../../../gen/rollcall/v1/agent_pb.js";
import { JobReason, JobState } from "../../../gen/rollcall/v1/model_pb.js";
import { UnavailableError } from "../../../server/domain/errors.ts";
import { createServerMetrics } from "../../../server/metrics/server-metrics.ts";
import { NEW_VERSION, OLD_VERSION, startControlPlane, type ControlPlane } from "../../support/control-plane.ts";
import { realClock } from "../../support/real-clock.ts";
import { ScriptedHost } from "../../support/scripted-host.ts";
import { openResources } from "../stream/open-resources.ts";
import { readSeries, scrape, type Series } from "./scrape.ts";

let plane: ControlPlane;
/** What a server without a host tells. */
let empty: Series;
beforeAll(async () => {
  plane = await startControlPlane();
  empty = await scrape(plane);
});
afterAll(async () => {
  await plane[Symbol.asyncDispose]();
  await vi.waitFor(() => expect(openResources()).toEqual([]));
});

/** Sends a host through an update, with everything that is ever sent about one. */
async function update(host: ScriptedHost, succeeds: boolean): Promise<number> {
  const { job } = await plane.fleet.updateHost({ hostId: host.hostId });
  const jobId = job?.id ?? "";
  await host.commanded();
  let bytes = 0;
  const blocks: AsyncIterable<FetchBlocksResponse> = host.agent.fetchBlocks(jobId, [{ first: 0, count: 2 }]);
  for await (const { data } of blocks) bytes += data.length;
  if (succeeds) {
    host.stream.sendProgress({ jobId, phase: UpdatePhase.STAGED });
    for (;;) if ((await host.stream.next()).message.case === "commitUpdate") break;
    await host.leave();
    await host.helloUpdated(jobId, NEW_VERSION);
  } else {
    host.stream.sendProgress({ jobId, phase: UpdatePhase.FAILED, reason: JobReason.PREFLIGHT_NO_SPACE });
  }
  const ended = await plane.untilEnded(jobId);
  expect(ended.state).toBe(succeeds ? JobState.SUCCEEDED : JobState.FAILED);
  return bytes;
}

describe("the numbers of a server", () => {
  test("are all there before the first host, at rest and of its own version", () => {
    expect(empty.get(`rollcall_build_info{version="${NEW_VERSION}"}`)).toBe(1);
    for (const name of ["rollcall_agent_streams", "rollcall_hosts", 'rollcall_jobs_open{state="staged"}'])
      expect([name, empty.get(name)]).toEqual([name, 0]);
    expect(empty.get("process_resident_memory_bytes")).toBeGreaterThan(10_000_000);
    expect(empty.get('rollcall_database_query_duration_seconds_count{pool="writing"}')).toBeGreaterThan(0);
    expect(empty.get('rollcall_database_query_duration_seconds_sum{pool="writing"}')).toBeGreaterThan(0);
  });

  test("tell what agents, updates and deliveries did, and what was refused", async () => {
    const names = Array.from({ length: 10 }, (_, index) => `metered-${index}`);
    const hosts = await Promise.all(names.map((name) => ScriptedHost.connect(plane, name)));
    const sent = await Promise.all(hosts.map((host, index) => update(host, index > 2)));
    const bytes = sent.reduce((total, each) => total + each, 0);
    await plane.fleet.updateHost({ hostId: randomUUID() }).catch(() => undefined);
    const agent = await plane.enrollAgent("not-itself");
    agent.credential = "rc_host_nobody";
    await agent.connect().ended;

    const now = await scrape(plane);
    const expected: Record<string, number> = {
      rollcall_agent_streams: 10,
      'rollcall_hellos_total{outcome="welcomed"}': 17,
      'rollcall_hellos_total{outcome="refused"}': 0,
      rollcall_hello_duration_seconds_count: 17,
      'rollcall_refusals_total{reason="host_unknown"}': 1,
      'rollcall_refusals_total{reason="credential_invalid"}': 1,
      'rollcall_jobs_ended_total{state="succeeded",reason=""}': 7,
      'rollcall_jobs_ended_total{state="failed",reason="preflight_no_space"}': 3,
      rollcall_delivery_bytes_total: bytes,
      'rollcall_delivery_hosts{state="active"}': 0,
      rollcall_hosts: 11,
      rollcall_hosts_online: 10,
      rollcall_hosts_behind: 4,
      rollcall_alerts_open: 3,
    };
    expect(Object.fromEntries(Object.keys(expected).map((name) => [name, now.get(name)]))).toEqual(expected);
    expect(now.get("rollcall_agent_connections")).toBeGreaterThanOrEqual(10);
  }, 120_000);

  test("agree with what the API says", async () => {
    const [now, { counts }, delivery] = [
      await scrape(plane),
      await plane.fleet.listHosts({}),
      await plane.fleet.getDelivery({}),
    ];
    expect([now.get("rollcall_hosts"), now.get("rollcall_hosts_online"), now.get("rollcall_hosts_behind")]).toEqual([
      counts?.total,
      counts?.online,
      counts?.behind,
    ]);
    expect(now.get("rollcall_delivery_bytes_total")).toBe(Number(delivery.bytesDelivered));
  });

  test("are the same series with no host, with ten and with a thousand", async () => {
    const ten = await scrape(plane);
    await sql`
      insert into hosts (id, hostname, os, arch, agent_version, last_seen_at)
      select gen_random_uuid(), 'row-' || n, 'linux', 'x64', ${OLD_VERSION}, clock_timestamp()
      from generate_series(1, 989) as n`.execute(plane.database.db);
    await sql`
      insert into jobs (id, host_id, kind, package, from_version, to_version, manifest_sha256, state, requested_by, deadline_at, last_deadline_at)
      select gen_random_uuid(), id, 'update', 'rollcall-agent', ${OLD_VERSION}, ${NEW_VERSION}, '\\x00',
             (array['dispatched', 'downloading', 'staged', 'restarting'])[1 + (row_number() over ()) % 4], 'test',
             clock_timestamp() + interval '1 hour', clock_timestamp() + interval '1 hour'
      from hosts where hostname like 'row-%'`.execute(plane.database.ownerDb);
    const thousand = await scrape(plane);
    expect(thousand.get("rollcall_hosts")).toBe(1_000);
    expect(thousand.get("rollcall_hosts_updating")).toBe(989);
    expect(thousand.get('rollcall_jobs_open{state="staged"}')).toBeGreaterThan(200);
    expect([...ten.keys()]).toEqual([...empty.keys()]);
    expect([...thousand.keys()]).toEqual([...empty.keys()]);
  });
});

describe("without a database", () => {
  const sources = {
    streams: () => ({ sessions: 3, connections: 4, unauthenticated: 1, refusedConnections: 2 }),
    deliveries: () => ({ active: 1, waiting: 0 }),
  };
  const away = (error: Error) => ({
    countHosts: () => Promise.reject(error),
    countOpenJobs: () => Promise.resolve(new Map()),
  });

  test("those of the process are told, and those of the fleet are no number", async () => {
    using metrics = createServerMetrics("1.0.0", realClock);
    const reader = away(new UnavailableError("The database is away."));
    const series = readSeries(await metrics.render({ ...sources, reader }));
    expect(series.get("rollcall_agent_streams")).toBe(3);
    expect(series.get("rollcall_agent_connections_refused_total")).toBe(2);
    expect(series.get("rollcall_hosts")).toBeNaN();
    expect(series.get('rollcall_jobs_open{state="staged"}')).toBeNaN();
    expect([...series.keys()]).toEqual([...empty.keys()].map((name) => name.replace(NEW_VERSION, "1.0.0")));
  });

  test("a failure that nobody foresaw is not passed over", async () => {
    using metrics = createServerMetrics("1.0.0", realClock);
    await expect(metrics.render({ ...sources, reader: away(new Error("a mistake")) })).rejects.toThrow("a mistake");
  });
});

test("an event loop that stood still is told of once", async () => {
  using metrics = createServerMetrics("1.0.0", realClock);
  const sources = {
    streams: () => ({ sessions: 0, connections: 0, unauthenticated: 0, refusedConnections: 0 }),
    deliveries: () => ({ active: 0, waiting: 0 }),
    reader: {
      countHosts: () => Promise.resolve({ total: 0, online: 0, behind: 0, updating: 0, openAlerts: 0 }),
      countOpenJobs: () => Promise.resolve(new Map()),
    },
  };
  const longest = async (): Promise<number> =>
    readSeries(await metrics.render(sources)).get('rollcall_event_loop_delay_seconds{percentile="100"}') ?? Number.NaN;
  // The first look after somebody asked is where the next delay is counted from.
  await longest();
  await looks();
  const untilMs = realClock.monotonicMs() + 500;
  while (realClock.monotonicMs() < untilMs);
  await looks();
  expect(await longest()).toBeGreaterThan(0.4);
});

/** Resolves once the event loop was looked at: timers go off in the order in which they are due. */
function looks(): Promise<void> {
  return new Promise((resolve) => void realClock.schedule(100, resolve));
}
