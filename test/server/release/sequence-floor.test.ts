/** Nothing is made the target, and nothing is sent, that hosts would only refuse. */
import { afterAll, afterEach, beforeEach, expect, test } from "vitest";
import { Refusal_Reason } from "../../../gen/rollcall/v1/model_pb.js";
import { FleetUpdateHostState } from "../../../gen/rollcall/v1/rollout_pb.js";
import { findOpenSockets } from "../../agent/open-sockets.ts";
import { NEW_VERSION, startControlPlane, type ControlPlane } from "../../support/control-plane.ts";
import { untilFleetUpdateSettled } from "../../support/fleet-update-end.ts";
import { refusalOf } from "../../support/refusal-of.ts";
import { makeUpload, messagesOf } from "../../support/release-upload.ts";
import { ScriptedHost } from "../../support/scripted-host.ts";
import { nameKey, signKeySet } from "../../support/test-keys.ts";
import { TEST_PUBLISHER } from "../../support/test-release.ts";

afterAll(async () => expect(await findOpenSockets()).toEqual([]));

let plane: ControlPlane;
beforeEach(async () => {
  plane = await startControlPlane();
});
afterEach(() => plane[Symbol.asyncDispose]());

async function connect(hostname: string, sequenceFloor: bigint): Promise<ScriptedHost> {
  const host = await ScriptedHost.enrol(plane, hostname);
  await host.hello({ sequenceFloor, keysSequence: 4n });
  return host;
}

const target = async () => (await plane.fleet.listReleases({})).releases.find((release) => release.target)?.version;

const upload = async (version: string, sequence: number, permittedFloor = 0) =>
  plane.fleet.importRelease(
    messagesOf(await makeUpload({ version, sequence, permittedFloor, artifact: Buffer.alloc(5_000, sequence) })),
  );

test("what a host says of its floor and its key set is told", async () => {
  const { hostId } = await connect("a", 7n);
  expect((await plane.fleet.getHost({ hostId })).host).toMatchObject({ sequenceFloor: 7n, keysSequence: 4n });
});

test("a target below the floor of some hosts is refused by name, and the target stays", async () => {
  await upload("3.0.0", 3);
  await upload("1.0.0", 1);
  for (const name of "abcdefghijkl") await connect(`host-${name}`, 3n);
  await connect("host-low", 1n);
  const removed = await connect("removed", 9n);
  await plane.fleet.removeHost({ hostId: removed.hostId });
  const call = plane.fleet.setTargetVersion({ version: "1.0.0" });
  await expect(call).rejects.toThrow(
    "12 hosts would refuse 1.0.0, whose sequence 1 is below what they take (up to 3): host-a, host-b, host-c, " +
      "host-d, host-e, host-f, host-g, host-h, host-i, host-j and 2 more. Nothing was changed.",
  );
  expect(await refusalOf(call)).toMatchObject({
    reason: Refusal_Reason.BELOW_SEQUENCE_FLOOR,
    details: { version: "1.0.0", sequence: "1", floor: "3", count: "12" },
  });
  expect(await target()).toBe(NEW_VERSION);
  expect((await plane.fleet.setTargetVersion({ version: "3.0.0" })).release?.target).toBe(true);
});

test("a release that permits the hosts' floor may be the target, though its sequence is lower", async () => {
  await upload("1.0.0", 1, 3);
  const host = await connect("a", 3n);
  const { release } = await plane.fleet.setTargetVersion({ version: "1.0.0" });
  expect(release).toMatchObject({ target: true, permittedFloor: 3n });
  await host.hello({ agentVersion: "1.5.0", sequenceFloor: 3n });
  await plane.fleet.updateHost({ hostId: host.hostId });
  expect((await host.commanded()).toVersion).toBe("1.0.0");
});

test("a floor that the newest key set brings counts before hosts have taken that key set", async () => {
  // Whoever stole a signing key made this host confirm a sequence that nothing honest reaches.
  const host = await connect("a", 9_000_000n);
  expect((await refusalOf(plane.fleet.updateHost({ hostId: host.hostId })))?.reason).toBe(
    Refusal_Reason.BELOW_SEQUENCE_FLOOR,
  );
  const { roots, signingKey } = TEST_PUBLISHER;
  const keySet = signKeySet(roots[1], { sequence: 5n, signingKeys: [nameKey(signingKey)], sequenceFloor: 1n });
  const artifact = Buffer.alloc(5_000, 3);
  await plane.fleet.importRelease(messagesOf(await makeUpload({ version: "3.0.0", sequence: 3, artifact, keySet })));
  expect((await plane.fleet.setTargetVersion({ version: "3.0.0" })).release?.target).toBe(true);
  await plane.fleet.updateHost({ hostId: host.hostId });
  expect((await host.commanded()).toVersion).toBe("3.0.0");
});

test("an update that a host would refuse is not sent, alone or in a fleet update", async () => {
  const low = await connect("a", 2n);
  const high = await connect("b", 3n);
  expect(await refusalOf(plane.fleet.updateHost({ hostId: high.hostId }))).toMatchObject({
    reason: Refusal_Reason.BELOW_SEQUENCE_FLOOR,
    details: { host_id: high.hostId, version: NEW_VERSION, floor: "3" },
  });
  const { fleetUpdate } = await plane.fleet.startFleetUpdate({ hostIds: [high.hostId, low.hostId] });
  const settled = await untilFleetUpdateSettled(plane.fleet, fleetUpdate?.id ?? "");
  expect(settled.fleetUpdate).toMatchObject({ haltedHostId: high.hostId, haltReason: "below_sequence_floor" });
  expect(settled.hosts.map(({ state }) => state)).toEqual([FleetUpdateHostState.FAILED, FleetUpdateHostState.PENDING]);
  expect((await plane.fleet.listJobs({})).jobs).toEqual([]);
});
