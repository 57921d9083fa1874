import { once } from "node:events";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, expect, test } from "vitest";
import { UpdateError } from "../../agent/updater/update-error.ts";
import { JobReason } from "../../gen/rollcall/v1/model_pb.js";
import { FleetUpdateState } from "../../gen/rollcall/v1/rollout_pb.js";
import type { FakePlatform } from "../agent/fake-platform.ts";
import { NEW_VERSION, OLD_VERSION, startControlPlane, type ControlPlane } from "../support/control-plane.ts";
import { enrollHost } from "../support/host-enrollment.ts";
import { MemoryHost } from "../support/memory-host.ts";
import { Desk, expectEnd } from "./run-rollcall.ts";

let plane: ControlPlane;
let desk: Desk;
const hosts = new AsyncDisposableStack();
const ids = new Map<string, string>();

async function addHost(hostname: string, prepare?: (platform: FakePlatform) => void): Promise<void> {
  const { hostId, credential } = await enrollHost(plane.fleet, plane, hostname);
  const host = hosts.use(
    new MemoryHost({
      hostname,
      version: OLD_VERSION,
      servers: [plane.agents],
      caPem: plane.caPem,
      credential,
      restartMs: 20,
      ...(prepare && { prepare }),
    }),
  );
  await host.log.until("connected");
  ids.set(hostname, hostId);
}

let isDiskFull = true;
let release: () => void = () => undefined;
const released = new Promise<void>((resolve) => {
  release = resolve;
});

beforeAll(async () => {
  plane = await startControlPlane();
  desk = await Desk.open();
  for (const name of ["web-1", "web-2", "web-3", "db-1"]) await addHost(name);
  await addHost("full-1", (platform) =>
    platform.before("preflight", () => {
      if (!isDiskFull) return;
      throw new UpdateError(JobReason.PREFLIGHT_NO_SPACE, {
        path: "/opt",
        bytesFree: 1_000n,
        bytesNeeded: 61_000_000n,
      });
    }),
  );
  await addHost("slow-1", (platform) => platform.before("preflight", () => released));
  await desk.run(["login", plane.web, "--token-stdin"], { input: plane.adminToken });
});

afterAll(async () => {
  release();
  await hosts.disposeAsync();
  await desk[Symbol.asyncDispose]();
  await plane[Symbol.asyncDispose]();
  expect(process.getActiveResourcesInfo().filter((name) => name === "TCPServerWrap")).toEqual([]);
});

/** The one JSON value, or the JSON lines, that a command printed. */
function readJson<T>(text: string): T[] {
  return text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as T);
}

test("the list of hosts is a table for people and the API's JSON for programs, and can be narrowed", async () => {
  const table = await desk.run(["hosts", "list"]);
  expect(table.stdout.split("\n")[0]).toMatch(/^HOST +STATUS +VERSION +UPDATE +PLATFORM +LAST SEEN +ID$/);
  expect(table.stdout).toMatch(/^web-1 +online +1\.0\.0 +behind +linux-x64/m);
  expect(table.stdout).not.toContain("\u001b");
  const { stdout } = await desk.run(["hosts", "list", "--search", "web", "--limit", "2", "--json"]);
  const [list] = readJson<{ hosts: { hostname: string; status: string; needsReinstall: boolean }[] }>(stdout);
  expect(list?.hosts.map(({ hostname }) => hostname)).toEqual(["web-1", "web-2"]);
  expect(list?.hosts[0]).toMatchObject({ status: "HOST_STATUS_ONLINE", needsReinstall: false });
  expectEnd(await desk.run(["hosts", "list", "--offline"]), 0, "No host is like that.");
});

test("one host is found by its name, its id or the beginning of it, and updated to its end", async () => {
  const id = ids.get("db-1") ?? "";
  for (const word of ["db-1", id, id.slice(0, 8)]) expectEnd(await desk.run(["hosts", "show", word]), 0, id);
  expectEnd(await desk.run(["hosts", "show", "db-9"]), 1, "There is no host db-9.");
  const update = await desk.run(["hosts", "update", "db-1"]);
  expectEnd(update, 0, `db-1 runs ${NEW_VERSION}.`);
  const again = await desk.run(["hosts", "update", "db-1", "--json"]);
  expect(again.exitStatus).toBe(1);
  expect(again.stdout).toBe("");
  expect(JSON.parse(again.stderr)).toMatchObject({ error: { reason: "already_at_target", exitStatus: 1 } });
});

test("a host that fails says why in the dashboard's words, and its alert is acknowledged", async () => {
  const update = await desk.run(["hosts", "update", "full-1"]);
  expectEnd(update, 1, "full-1 has 1.0 kB free under /opt and needs 61 MB.");
  expect(update.stderr).toContain("nothing on it was replaced");
  const { stdout } = await desk.run(["alerts", "list"]);
  expect(stdout).toContain("full-1 update failed: not enough disk space");
  const [, alertId = ""] = /^([0-9a-f]{8}) +open/m.exec(stdout) ?? [];
  expectEnd(await desk.run(["alerts", "acknowledge", alertId]), 0, "Acknowledged: full-1");
  expectEnd(await desk.run(["alerts", "list"]), 0, "acknowledged by");
  expectEnd(await desk.run(["audit", "list", "--host", "full-1"]), 0, "Not enough disk space");
  expectEnd(await desk.run(["audit", "check"]), 0, "seal");
});

test("a host is named and labelled, and hosts are chosen by label", async () => {
  const edit = await desk.run([
    "hosts",
    "edit",
    "web-3",
    "--name",
    "the third",
    "--label",
    "site=lisbon",
    "--label",
    "rack=4",
  ]);
  expectEnd(edit, 0, "the third: rack=4, site=lisbon");
  expectEnd(await desk.run(["hosts", "edit", "web-3", "--remove-label", "rack"]), 0, "the third: site=lisbon");
  const { stdout } = await desk.run(["hosts", "list", "--label", "site=lisbon", "--json"]);
  const [list] = readJson<{ hosts: { hostname: string }[] }>(stdout);
  expect(list?.hosts.map(({ hostname }) => hostname)).toEqual(["web-3"]);
  const plan = await desk.run(["fleet-update", "start", "--label", "site=lisbon", "--dry-run"]);
  expectEnd(plan, 0, "1 host, one at a time");
  expectEnd(await desk.run(["hosts", "list", "--label", "lisbon"]), 2, "site=lisbon");
  expectEnd(await desk.run(["hosts", "edit", "web-3"]), 2, "--remove-label");
});

test("nothing starts unasked, and a dry run only tells", async () => {
  const { stdout } = await desk.run(["fleet-update", "start", "web-2", "web-1", "--dry-run"]);
  expect(stdout).toMatch(/^1 +web-2 +1\.0\.0 → 2\.0\.0$/m);
  expect(stdout).toContain("2 hosts, one at a time; it halts at the first failure, and an offline host halts it.");
  expectEnd(await desk.run(["fleet-update", "start", "web-1"]), 2, "no terminal to ask at");
  expectEnd(await desk.run(["fleet-update", "list"]), 0, "There was no fleet update yet.");
});

test("a fleet update is followed to its halt, told, and started again to its end", async () => {
  const started = await desk.run(["fleet-update", "start", "web-1", "full-1", "web-2", "--yes"]);
  expectEnd(started, 1, "Halted at full-1: not enough disk space. full-1 has 1.0 kB free");
  expect(started.stdout).toMatch(/web-1 {2}1\.0\.0 → 2\.0\.0 {2}succeeded/);
  expect(started.stderr).toContain("start again");
  expectEnd(await desk.run(["fleet-update", "show"]), 0, "Not touched");

  isDiskFull = false;
  const again = await desk.run(["fleet-update", "again", "--yes", "--json"]);
  expect(again.exitStatus, again.stderr).toBe(0);
  const lines = readJson<{ state?: string; fleetUpdate?: object }>(again.stdout);
  expect(lines[0]).toHaveProperty("fleetUpdate");
  expect(lines.at(-1)).toMatchObject({ state: "FLEET_UPDATE_STATE_COMPLETED", counts: { total: 2, succeeded: 2 } });
  expectEnd(await desk.run(["alerts", "list"]), 0, "No alert is open.");
});

test("whoever stops watching stops nothing, and a fleet update is cancelled by whoever says so", async () => {
  const watching = desk.start(["fleet-update", "start", "slow-1", "web-3", "--yes"]);
  for await (const line of createInterface({ input: watching.stdout })) if (line.startsWith("Started")) break;
  watching.kill("SIGINT");
  const [exitStatus] = (await once(watching, "exit")) as [number];
  expect(exitStatus).toBe(130);
  const [running] = (await plane.fleet.listFleetUpdates({ pageSize: 1 })).fleetUpdates;
  expect(running?.state).toBe(FleetUpdateState.RUNNING);
  expectEnd(await desk.run(["fleet-update", "start", "web-3", "--yes"]), 1, "fleet update");
  expectEnd(await desk.run(["fleet-update", "cancel", "--yes"]), 0, "Cancelled: 0 of 2 hosts succeeded");
  expectEnd(await desk.run(["fleet-update", "watch"]), 1, "Cancelled");
});

test("a host that is removed is gone, and only once somebody said yes", async () => {
  expectEnd(await desk.run(["hosts", "remove", "web-3"]), 2, "no terminal to ask at");
  expectEnd(await desk.run(["hosts", "remove", "web-3", "--yes"]), 0, "Removed web-3.");
  expectEnd(await desk.run(["hosts", "show", "web-3"]), 1, "There is no host web-3.");
});
