/**
 * Two servers on one database, each a process of its own: what is asked of one reaches
 * the hosts and the people of the other.
 */
import { randomUUID } from "node:crypto";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { status as Status } from "@grpc/grpc-js";
import { sql } from "kysely";
import { afterAll, beforeAll, expect, test } from "vitest";
import { HostStatus, JobState } from "../../gen/rollcall/v1/model_pb.js";
import { findOpenSockets } from "../agent/open-sockets.ts";
import { ChildFleet } from "../support/child-fleet.ts";
import { untilEnded } from "../support/control-plane.ts";
import { ScriptedAgent, validHello, type ScriptedStream } from "../support/scripted-agent.ts";
import type { ServerChild } from "../support/server-child.ts";
import { watchUntil } from "../support/watch-until.ts";

/** Some start a server again and again. */
const TIMEOUT_MS = 120_000;
const DURATIONS = { tickIntervalMs: 200, leaseMs: 3_000, offlineAfterMs: 1_000 };

let fleet: ChildFleet;
let first: ServerChild;
let second: ServerChild;

beforeAll(async () => {
  fleet = await ChildFleet.create(DURATIONS);
  first = fleet.addServer("first");
  await first.start();
  second = await fleet.addReplica("second", "first");
});

afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
  expect(await findOpenSockets()).toEqual([]);
});

/** The agent of an enrolled host, in two processes if need be: it says Hello to whichever server it is told to. */
async function scriptedHost(hostname: string) {
  const { hostId, credential } = await fleet.enrol(first, hostname);
  const agents = new Map<ServerChild, ScriptedAgent>();
  for (const server of [first, second]) {
    agents.set(server, new ScriptedAgent({ address: server.agents, caPem: await server.caPem(), credential }));
  }
  return {
    hostId,
    async hello(server: ServerChild, instanceId: string = randomUUID()): Promise<ScriptedStream> {
      const hello = validHello({ hostname, instanceId });
      return (await agents.get(server)?.hello(hello))?.stream as ScriptedStream;
    },
    [Symbol.dispose]: () => {
      for (const agent of agents.values()) agent[Symbol.dispose]();
    },
  };
}

test("an update that is asked of one server reaches a host of the other, and so does its cancel", async () => {
  const probing = Promise.withResolvers<void>();
  const probed = Promise.withResolvers<void>();
  const { hostId, host } = await fleet.addHost(second, "updated", {
    prepare: (platform) =>
      platform.before("probe", () => {
        probing.resolve();
        return probed.promise;
      }),
  });
  const client = await first.fleet();
  const called = await client.updateHost({ hostId });
  await probing.promise;
  await client.cancelJob({ jobId: called.job?.id ?? "" });
  await host.log.until("update_dropped");
  probed.resolve();

  const { job } = await client.updateHost({ hostId });
  expect((await untilEnded(client, job?.id ?? "")).state).toBe(JobState.SUCCEEDED);
  expect(host.swaps).toBe(1);
});

test("a credential that was rotated at one server is refused at the other, which knew it as good", async () => {
  const { hostId, credential } = await fleet.enrol(first, "rotated");
  const agentAt = async (server: ServerChild, shown: string) =>
    new ScriptedAgent({ address: server.agents, caPem: await server.caPem(), credential: shown });
  const hello = validHello({ hostname: "rotated" });
  await sql`update hosts set credential_rotated_at = clock_timestamp() - interval '31 days' where id = ${hostId}`.execute(
    fleet.database.db,
  );
  using known = await agentAt(first, credential);
  const { stream, welcome } = await known.hello(hello);
  using rotated = await agentAt(second, welcome.nextCredential);
  await rotated.hello(hello);
  await stream.ended;
  using again = await agentAt(first, credential);
  const refused = again.connect();
  refused.sendHello(hello);
  expect(await refused.ended).toMatchObject({ code: Status.UNAUTHENTICATED });
});

test("a session at one server ends that of the same host at the other", async () => {
  using host = await scriptedHost("moved");
  const former = await host.hello(first);
  const latter = await host.hello(second);
  const { code, details } = await former.ended;
  expect([code, details]).toEqual([Status.ABORTED, "replaced by a newer session of this host"]);
  // The one that took over stays.
  await (await first.fleet()).updateHost({ hostId: host.hostId });
  expect((await latter.next()).message.case).toBe("commandUpdate");
});

test("who watches one server sees what hosts of the other do", async () => {
  using host = await scriptedHost("watched");
  let stream: ScriptedStream | undefined;
  const isOnline = await watchUntil(await first.fleet(), async (change) => {
    if (change.case === "caughtUp") stream = await host.hello(second);
    return change.case === "host" && change.value.id === host.hostId && change.value.status === HostStatus.ONLINE
      ? true
      : undefined;
  });
  expect(isOnline).toBe(true);
  stream?.cancel();
});

test("a host that is removed at one server loses its stream to the other", async () => {
  using host = await scriptedHost("removed");
  const stream = await host.hello(second);
  await (await first.fleet()).removeHost({ hostId: host.hostId });
  expect((await stream.ended).code).toBe(Status.UNAUTHENTICATED);
});

test("two machines with one credential are found out although each has a server of its own", async () => {
  using host = await scriptedHost("cloned");
  const [one, other] = [randomUUID(), randomUUID()];
  const takeTurns = async (): Promise<void> => {
    for (let turn = 0; turn < 12; turn += 1) {
      const stream = turn % 2 === 0 ? await host.hello(first, one) : await host.hello(second, other);
      stream.sendHeartbeat();
    }
  };
  await expect(takeTurns()).rejects.toThrow("Another machine uses this host's credential");
  const { host: found } = await (await second.fleet()).getHost({ hostId: host.hostId });
  expect(found?.identityDuplicated).toBe(true);
});

test("after its way to the others broke, a server reads again what it may have missed", async () => {
  using host = await scriptedHost("missed");
  const former = await host.hello(first);
  const listener = sql`
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and application_name = 'rollcall notices'
  `;
  await listener.execute(fleet.database.ownerDb);
  const latter = await host.hello(second);
  expect((await former.ended).code).toBe(Status.ABORTED);
  latter.cancel();
  await first.untilLogged("reading everything again");
});

test(
  "a server with keys or releases of its own refuses to start, and says what to copy",
  async () => {
    const stranger = fleet.addServer("stranger");
    await expect(stranger.start()).rejects.toThrow("credential.key is not that of the other servers of this database");
    await cp(join(fleet.folder, "first", "credential.key"), join(fleet.folder, "stranger", "credential.key"));
    await expect(stranger.start()).rejects.toThrow("ca.crt is not that of the other servers of this database");
    await cp(join(fleet.folder, "first", "tls"), join(fleet.folder, "stranger", "tls"), { recursive: true });
    const elsewhere = { ROLLCALL_RELEASES_DIR: join(fleet.folder, "stranger") };
    await expect(stranger.start(elsewhere)).rejects.toThrow("holds none of the releases");
  },
  TIMEOUT_MS,
);

test(
  "a second process with the same data directory ends the first",
  async () => {
    const twin = fleet.addServer("second");
    // On ports of its own, as on another machine.
    await twin.start();
    expect(await second.exited()).toBeNull();
    await twin.stop();
    await second.start();
  },
  TIMEOUT_MS,
);
