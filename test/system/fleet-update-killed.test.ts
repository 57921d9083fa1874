/**
 * The server is killed, as by SIGKILL, at each transition of a running fleet update:
 * right after it stored it, and right after it sent what follows from it. Started
 * again it goes on: no host is updated twice, none is forgotten, what was halted or
 * cancelled stays so.
 */
import { afterAll, describe, expect, test } from "vitest";
import { UpdateError } from "../../agent/updater/update-error.ts";
import { JobReason } from "../../gen/rollcall/v1/model_pb.js";
import { FleetUpdateState, type GetFleetUpdateResponse } from "../../gen/rollcall/v1/rollout_pb.js";
import { findOpenSockets } from "../agent/open-sockets.ts";
import type { FakePlatform } from "../agent/fake-platform.ts";
import { ChildFleet, type ChildFleetHost, type ChildFleetHostOptions } from "../support/child-fleet.ts";
import { NEW_VERSION } from "../support/control-plane.ts";
import { FewAtATime } from "../support/few-at-a-time.ts";
import { hostStates, untilFleetUpdateSettled } from "../support/fleet-update-end.ts";

const TIMEOUT_MS = 180_000;
/** Each is three processes that come and go, and the machine may have two cores. */
const lanes = new FewAtATime(5);

afterAll(async () => expect(await findOpenSockets()).toEqual([]));

type Plan = Readonly<Record<"a" | "b" | "c", ChildFleetHostOptions>>;

interface Scenario {
  readonly plan?: Partial<Plan>;
  readonly maxFailures?: number;
  /** Done before the start. */
  readonly before?: (fleet: ChildFleet, hosts: readonly ChildFleetHost[]) => Promise<unknown>;
  /** The first host's probe goes on for ever, and the fleet update is cancelled meanwhile. */
  readonly isCancelled?: boolean;
}

interface Outcome {
  readonly found: GetFleetUpdateResponse;
  readonly states: readonly string[];
  readonly swaps: readonly number[];
  /** Jobs of each host that were ever written. */
  readonly jobs: readonly number[];
}

/** Makes probes wait, at most until the test is over: a host does not end before its probe did. */
function stickUntilDisposed() {
  const over = Promise.withResolvers<void>();
  return {
    prepare: (platform: FakePlatform): void => platform.before("probe", () => over.promise),
    [Symbol.dispose]: () => over.resolve(),
  };
}

/** Runs one fleet update over the hosts a, b and c, whose server dies at `faultPoint`, to its end under the next. */
async function rollThrough(faultPoint: string, scenario: Scenario = {}): Promise<Outcome> {
  await using fleet = await ChildFleet.create({ tickIntervalMs: 250 });
  const server = fleet.addServer("data");
  await server.start({ ROLLCALL_FAULT_POINT: faultPoint });
  const hosts: ChildFleetHost[] = [];
  using stuck = stickUntilDisposed();
  for (const name of ["a", "b", "c"] as const) {
    const options = name === "a" && scenario.isCancelled ? { prepare: stuck.prepare } : scenario.plan?.[name];
    hosts.push(await fleet.addHost(server, name, options));
  }
  await scenario.before?.(fleet, hosts);

  const first = await server.fleet();
  const asked = first
    .startFleetUpdate({
      hostIds: hosts.map(({ hostId }) => hostId),
      policy: { maxFailures: scenario.maxFailures ?? 0 },
    })
    // The server may die before it answers.
    .catch(() => undefined);
  if (scenario.isCancelled) {
    await hosts[0]?.host.log.until("update_commanded");
    const fleetUpdateId = (await asked)?.fleetUpdate?.id ?? "";
    await first.cancelFleetUpdate({ fleetUpdateId }).catch(() => undefined);
  }
  expect(await server.exited()).toBe("SIGKILL");
  await asked;

  await server.start();
  const second = await server.fleet();
  const { fleetUpdates } = await second.listFleetUpdates({});
  expect(fleetUpdates).toHaveLength(1);
  const found = await untilFleetUpdateSettled(second, fleetUpdates[0]?.id ?? "");
  const jobs = [];
  for (const { hostId } of hosts) jobs.push((await second.listJobs({ hostId })).jobs.length);
  return { found, states: hostStates(found), swaps: hosts.map(({ host }) => host.swaps), jobs };
}

const eachSide = (...names: readonly string[]): readonly string[] =>
  names.flatMap((name) => [`stored:${name}`, `sent:${name}`]);
const eachFleetSide = (kind: string): readonly string[] => [`fleet:${kind}:stored`, `fleet:${kind}:sent`];

const failing: ChildFleetHostOptions = {
  prepare: (platform: FakePlatform) =>
    platform.before("preflight", () => {
      throw new UpdateError(JobReason.PREFLIGHT_READ_ONLY, { path: "/opt/rollcall" });
    }),
};

describe("a server killed at", () => {
  test.concurrent.each([
    ...eachFleetSide("dispatch"),
    ...eachFleetSide("settle"),
    ...eachFleetSide("complete"),
    ...eachSide("dispatched", "downloading", "staged", "restarting", "succeeded"),
  ])(
    "%s is followed by one that updates every host, each once",
    (point) =>
      lanes.run(async () => {
        const { found, states, swaps, jobs } = await rollThrough(point);
        expect(found.fleetUpdate?.state).toBe(FleetUpdateState.COMPLETED);
        expect(states).toEqual(["a SUCCEEDED", "b SUCCEEDED", "c SUCCEEDED"]);
        expect(swaps).toEqual([1, 1, 1]);
        expect(jobs).toEqual([1, 1, 1]);
      }),
    TIMEOUT_MS,
  );

  test.concurrent.each(eachFleetSide("skip"))(
    "%s is followed by one that goes on after the skipped host",
    (point) =>
      lanes.run(async () => {
        const { found, states, swaps, jobs } = await rollThrough(point, { plan: { b: { version: NEW_VERSION } } });
        expect(found.fleetUpdate?.state).toBe(FleetUpdateState.COMPLETED);
        expect(states).toEqual(["a SUCCEEDED", "b SKIPPED already_at_target", "c SUCCEEDED"]);
        expect(swaps).toEqual([1, 0, 1]);
        expect(jobs).toEqual([1, 0, 1]);
      }),
    TIMEOUT_MS,
  );

  test.concurrent.each(eachFleetSide("refuse"))(
    "%s is followed by one that bears the refused host, as its policy says",
    (point) =>
      lanes.run(async () => {
        const { found, states, swaps, jobs } = await rollThrough(point, {
          maxFailures: 1,
          before: (fleet, [, b]) =>
            fleet.database.db
              .updateTable("hosts")
              .set({ identity_duplicated_at: new Date(Date.UTC(2100, 0)) })
              .where("id", "=", b?.hostId as never)
              .execute(),
        });
        expect(found.fleetUpdate?.state).toBe(FleetUpdateState.COMPLETED);
        expect(states).toEqual(["a SUCCEEDED", "b FAILED identity_duplicated", "c SUCCEEDED"]);
        expect(swaps).toEqual([1, 0, 1]);
        expect(jobs).toEqual([1, 0, 1]);
      }),
    TIMEOUT_MS,
  );

  test.concurrent.each([...eachFleetSide("halt"), ...eachSide("failed")])(
    "%s is followed by one under which it is halted, and the next host is not touched",
    (point) =>
      lanes.run(async () => {
        const { found, states, swaps, jobs } = await rollThrough(point, { plan: { b: failing } });
        expect(found.fleetUpdate).toMatchObject({
          state: FleetUpdateState.HALTED,
          haltReason: "preflight_read_only",
          haltedHostId: found.hosts[1]?.hostId,
        });
        expect(states).toEqual(["a SUCCEEDED", "b FAILED preflight_read_only", "c PENDING"]);
        expect(swaps).toEqual([1, 0, 0]);
        expect(jobs).toEqual([1, 1, 0]);
      }),
    TIMEOUT_MS,
  );

  test.concurrent.each(eachSide("rolled_back"))(
    "%s is followed by one under which the rollback halts it",
    (point) =>
      lanes.run(async () => {
        const { found, states, jobs } = await rollThrough(point, { plan: { b: { rollsBack: JobReason.CRASHED } } });
        expect(found.fleetUpdate).toMatchObject({ state: FleetUpdateState.HALTED, haltReason: "crashed" });
        expect(states).toEqual(["a SUCCEEDED", "b FAILED crashed", "c PENDING"]);
        expect(jobs).toEqual([1, 1, 0]);
      }),
    TIMEOUT_MS,
  );

  test.concurrent.each(eachSide("cancelled"))(
    "%s is followed by one under which it stays cancelled",
    (point) =>
      lanes.run(async () => {
        const { found, states, swaps, jobs } = await rollThrough(point, {
          isCancelled: true,
        });
        expect(found.fleetUpdate?.state).toBe(FleetUpdateState.CANCELLED);
        expect(states).toEqual(["a CANCELLED", "b PENDING", "c PENDING"]);
        expect(swaps).toEqual([0, 0, 0]);
        expect(jobs).toEqual([1, 0, 0]);
      }),
    TIMEOUT_MS,
  );
});
