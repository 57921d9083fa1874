import { join } from "node:path";
import { afterAll, afterEach, beforeEach, expect, test } from "vitest";
import { JobState, Refusal_Reason } from "../../../gen/rollcall/v1/model_pb.js";
import { FleetUpdateState } from "../../../gen/rollcall/v1/rollout_pb.js";
import { findOpenSockets } from "../../agent/open-sockets.ts";
import { NEW_VERSION, startControlPlane, type ControlPlane } from "../../support/control-plane.ts";
import { hostStates, untilFleetUpdateSettled } from "../../support/fleet-update-end.ts";
import { refusalOf } from "../../support/refusal-of.ts";
import { ScriptedHost } from "../../support/scripted-host.ts";
import { writeTestRelease } from "../../support/test-release.ts";
import { buildVersionElf } from "../../support/tiny-elf.ts";

const EXPECTED = 3;
const UNDEMANDING = "1.5.0";

let plane: ControlPlane;
beforeEach(async () => {
  const artifact = buildVersionElf(NEW_VERSION, 100_000);
  plane = await startControlPlane({}, artifact, {}, async (folder) => {
    const releasesDir = join(folder, "releases");
    await writeTestRelease(releasesDir, { version: NEW_VERSION, sequence: 2, artifact, installRevision: EXPECTED });
    const undemanding = buildVersionElf(UNDEMANDING, 100_000);
    await writeTestRelease(releasesDir, { version: UNDEMANDING, sequence: 1, artifact: undemanding });
  });
});
afterEach(() => plane[Symbol.asyncDispose]());
afterAll(async () => expect(await findOpenSockets()).toEqual([]));

/** A connected host whose unit and guard are of this revision. */
async function connect(hostname: string, installRevision: number): Promise<ScriptedHost> {
  const host = await ScriptedHost.enrol(plane, hostname);
  await host.hello({ installRevision });
  return host;
}

const isMarked = async ({ hostId }: ScriptedHost) => (await plane.fleet.getHost({ hostId })).host?.needsReinstall;

async function canBeUpdated(host: ScriptedHost): Promise<boolean> {
  await plane.fleet.updateHost({ hostId: host.hostId });
  const jobId = await host.reachCommit();
  await host.helloUpdated(jobId, NEW_VERSION);
  return (await plane.untilEnded(jobId)).state === JobState.SUCCEEDED;
}

test("a host whose unit and guard are older than the target expects is marked and sent nothing", async () => {
  const host = await connect("a", EXPECTED - 1);
  const found = await plane.fleet.getHost({ hostId: host.hostId });
  expect(found.host).toMatchObject({ installRevision: EXPECTED - 1, needsReinstall: true });
  expect(found.reinstallCommand).toMatch(/^curl -fsS \S+\/install\/install\.sh \| sh$/);
  expect(await refusalOf(plane.fleet.updateHost({ hostId: host.hostId, ignoreQuarantine: true }))).toMatchObject({
    reason: Refusal_Reason.NEEDS_REINSTALL,
    details: { version: NEW_VERSION, installed: String(EXPECTED - 1), expected: String(EXPECTED) },
  });
  expect((await plane.fleet.listJobs({ hostId: host.hostId })).jobs).toEqual([]);
});

test("a host that was installed again is updated", async () => {
  const host = await connect("a", EXPECTED - 1);
  await host.hello({ installRevision: EXPECTED });
  expect(await isMarked(host)).toBe(false);
  expect(await canBeUpdated(host)).toBe(true);
});

test("a host that was installed by hand is not judged", async () => {
  const host = await connect("a", 0);
  expect(await isMarked(host)).toBe(false);
  expect(await canBeUpdated(host)).toBe(true);
});

test("a fleet update takes it for a failure of that host", async () => {
  const old = await connect("a", EXPECTED - 1);
  await connect("b", EXPECTED);
  const { fleetUpdate } = await plane.fleet.startFleetUpdate({});
  const found = await untilFleetUpdateSettled(plane.fleet, fleetUpdate?.id ?? "");
  expect(found.fleetUpdate).toMatchObject({
    state: FleetUpdateState.HALTED,
    haltedHostId: old.hostId,
    haltReason: "needs_reinstall",
  });
  expect(hostStates(found)).toEqual(["a FAILED needs_reinstall", "b PENDING"]);
});

test("hosts are marked by what the target of the moment expects", async () => {
  const host = await connect("a", EXPECTED - 1);
  const { releases } = await plane.fleet.listReleases({});
  expect(releases.map(({ version, installRevision }) => [version, installRevision])).toEqual([
    [NEW_VERSION, EXPECTED],
    [UNDEMANDING, 0],
  ]);
  await plane.fleet.setTargetVersion({ version: UNDEMANDING });
  expect(await isMarked(host)).toBe(false);
  await plane.fleet.setTargetVersion({ version: NEW_VERSION });
  expect(await isMarked(host)).toBe(true);
});
