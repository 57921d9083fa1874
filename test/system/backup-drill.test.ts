/**
 * What an operator does on the worst day, with the built agent, real servers on their own
 * PostgreSQL, and the commands as they are typed.
 */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { sql } from "kysely";
import { afterAll, beforeAll, expect, test } from "vitest";
import { HostStatus, JobState } from "../../gen/rollcall/v1/model_pb.js";
import { FleetUpdateState } from "../../gen/rollcall/v1/rollout_pb.js";
import { removeCluster } from "../../server/store/embedded/remove-cluster.ts";
import { findOpenSockets } from "../agent/open-sockets.ts";
import type { AgentBuilds } from "../demo/agent-builds.ts";
import { buildTestAgents } from "../support/built-agent.ts";
import { hostStates, untilFleetUpdateSettled } from "../support/fleet-update-end.ts";
import { realClock } from "../support/real-clock.ts";
import { ServerChild } from "../support/server-child.ts";
import { createTestDatabase } from "../support/test-database.ts";
import { watchUntil } from "../support/watch-until.ts";
import { repositoryRoot } from "../toolchain/repository-root.ts";
import { SupervisedFleet, type ServerSite } from "./supervised-fleet.ts";

const TIMEOUT_MS = 240_000;
const NO_URL = "";

let builds: AgentBuilds;
beforeAll(async () => {
  builds = await buildTestAgents();
}, 240_000);
afterAll(async () => expect(await findOpenSockets()).toEqual([]));

/** A server on the PostgreSQL of its data directory, which is deleted with it. */
async function openEmbeddedServer({ folder, ...site }: ServerSite, parts: AsyncDisposableStack): Promise<ServerChild> {
  const dataDir = join(folder, "data");
  parts.defer(() => removeCluster(dataDir, realClock));
  return parts.use(new ServerChild({ ...site, dataDir, databaseUrl: NO_URL }));
}

interface Place {
  readonly dataDir: string;
  readonly databaseUrl: string;
}

/** Runs `backup` or `restore` as a process of its own. *Throws* with what it said when it ends badly. */
async function run(verb: "backup" | "restore", words: readonly string[], place: Place): Promise<string> {
  const program = join(repositoryRoot, "server", "backup", "main.ts");
  const env = {
    PATH: process.env["PATH"],
    ROLLCALL_DATA_DIR: place.dataDir,
    ROLLCALL_DATABASE_URL: place.databaseUrl,
    ROLLCALL_RELEASES_DIR: builds.newer.releasesDir,
    ROLLCALL_BACKUP_PASSPHRASE: "correct horse battery",
  };
  return (await promisify(execFile)(process.execPath, [program, verb, ...words], { env })).stdout;
}

/** Starts another server where the fleet's was, which must have ended: hosts find it by themselves. */
async function takeOver(fleet: SupervisedFleet, place: Place, parts: AsyncDisposableStack): Promise<ServerChild> {
  const { web, agents } = fleet.server;
  const { releasesDir, version } = builds.newer;
  const server = parts.use(new ServerChild({ ...place, releasesDir, version }));
  await server.start({ ROLLCALL_WEB_LISTEN: web.replace("http://", ""), ROLLCALL_AGENT_LISTEN: agents });
  fleet.server = server;
  return server;
}

/** Waits until every host said Hello with the newest version: until then a server shows what it last knew. */
async function untilAllNewest(fleet: SupervisedFleet): Promise<void> {
  const client = await fleet.server.fleet();
  await watchUntil(client, async () => {
    const { hosts } = await client.listHosts({});
    const isThere = hosts.every(
      ({ status, agentVersion }) => status === HostStatus.ONLINE && agentVersion === builds.newer.version,
    );
    return isThere && hosts.length === fleet.hosts.length ? true : undefined;
  });
}

async function credentialsOf(fleet: SupervisedFleet): Promise<readonly string[]> {
  return Promise.all(fleet.hosts.map(({ host }) => readFile(join(host.paths.stateDir, "credential.json"), "utf8")));
}

test.concurrent(
  "an old backup on a new data directory lets every host in, tells true versions and repeats no job",
  async () => {
    await using fleet = await SupervisedFleet.create(builds, openEmbeddedServer);
    await using parts = new AsyncDisposableStack();
    const { server: first } = fleet;
    await first.start({ ROLLCALL_FAULT_POINT: "fleet:dispatch:stored" });
    for (const name of ["a", "b", "c"]) await fleet.addHost(name);
    const [former, latter] = ["data", "new"].map((name) => ({
      dataDir: join(fleet.folder, name),
      databaseUrl: NO_URL,
    }));
    if (former === undefined || latter === undefined) throw new Error("both are there");
    const path = join(fleet.folder, "backup");
    const before = await credentialsOf(fleet);
    // It dies with the first job written down and not sent.
    await (await first.fleet()).startFleetUpdate({ hostIds: fleet.hostIds }).catch(() => undefined);
    expect(await first.exited()).toBe("SIGKILL");
    expect(await run("backup", [path], former)).toMatch(/^\S+ holds \d+ rows and \d+ files, and was read back\.$/m);

    await first.start();
    const client = await first.fleet();
    const [started] = (await client.listFleetUpdates({})).fleetUpdates;
    const id = started?.id ?? "";
    expect((await untilFleetUpdateSettled(client, id)).fleetUpdate?.state).toBe(FleetUpdateState.COMPLETED);
    const rotated = async () => (await credentialsOf(fleet)).every((text, index) => text !== before[index]);
    await expect.poll(rotated, { timeout: 30_000 }).toBe(true);
    await first.stop();

    parts.defer(() => removeCluster(latter.dataDir, realClock));
    expect(await run("restore", [path], latter)).toMatch(/Cancelled.*: 1 job, 1 fleet update\./);
    const second = await takeOver(fleet, latter, parts);
    await untilAllNewest(fleet);
    const restored = await untilFleetUpdateSettled(await second.fleet(), id);
    expect(restored.fleetUpdate?.state).toBe(FleetUpdateState.CANCELLED);
    expect(hostStates(restored)).toEqual(["a CANCELLED", "b PENDING", "c PENDING"]);
    expect(await fleet.tally()).toEqual({ starts: [2, 2, 2], jobs: [1, 0, 0] });
    const [job] = (await (await second.fleet()).listJobs({})).jobs;
    expect(job?.state).toBe(JobState.CANCELLED);

    const living = join(fleet.folder, "living");
    expect(await run("backup", [living], latter)).toContain("A server ran meanwhile");
    await expect(
      run("restore", [living, "--move"], { ...latter, dataDir: join(fleet.folder, "third") }),
    ).rejects.toThrow(/taken while a server ran/);
    await untilAllNewest(fleet);
  },
  TIMEOUT_MS,
);

test.concurrent(
  "a fleet update goes on where it was when its installation moves to a PostgreSQL of the operator's own",
  async () => {
    await using fleet = await SupervisedFleet.create(builds, openEmbeddedServer);
    await using parts = new AsyncDisposableStack();
    const database = parts.use(await createTestDatabase());
    await sql`drop schema public cascade`.execute(database.ownerDb);
    await sql`create schema public`.execute(database.ownerDb);
    const { server: first } = fleet;
    await first.start({ ROLLCALL_FAULT_POINT: "fleet:settle:stored" });
    for (const name of ["a", "b", "c"]) await fleet.addHost(name);
    const { fleetUpdate } = await (await first.fleet()).startFleetUpdate({ hostIds: fleet.hostIds });
    expect(await first.exited()).toBe("SIGKILL");

    const path = join(fleet.folder, "backup");
    await run("backup", [path], { dataDir: join(fleet.folder, "data"), databaseUrl: NO_URL });
    const place = { dataDir: join(fleet.folder, "new"), databaseUrl: database.ownerUrl };
    expect(await run("restore", [path, "--move"], place)).toContain("go on once a server starts");
    const second = await takeOver(fleet, place, parts);
    const found = await untilFleetUpdateSettled(await second.fleet(), fleetUpdate?.id ?? "");
    expect(found.fleetUpdate?.state).toBe(FleetUpdateState.COMPLETED);
    expect(hostStates(found)).toEqual(["a SUCCEEDED", "b SUCCEEDED", "c SUCCEEDED"]);
    expect(await fleet.tally()).toEqual({ starts: [2, 2, 2], jobs: [1, 1, 1] });
  },
  TIMEOUT_MS,
);
