import { afterAll, beforeEach, afterEach, describe, expect, test } from "vitest";
import { UpdateError } from "../../../agent/updater/update-error.ts";
import { AlertKind } from "../../../gen/rollcall/v1/attention_pb.js";
import { JobReason, Refusal_Reason } from "../../../gen/rollcall/v1/model_pb.js";
import { FleetUpdateHostState, FleetUpdateState, OfflinePolicy } from "../../../gen/rollcall/v1/rollout_pb.js";
import type { FakePlatform } from "../../agent/fake-platform.ts";
import { NEW_VERSION, OLD_VERSION, startControlPlane, type ControlPlane } from "../../support/control-plane.ts";
import { hostStates, untilFleetUpdateSettled } from "../../support/fleet-update-end.ts";
import { enrollHost } from "../../support/host-enrollment.ts";
import { MemoryHost } from "../../support/memory-host.ts";
import { refusalOf } from "../../support/refusal-of.ts";
import { watchUntil } from "../../support/watch-until.ts";

let plane: ControlPlane;
let hosts: AsyncDisposableStack;
/** Resolves at the end of a test: until then whatever waits for it is stuck. */
let released: Promise<void>;
let release: () => void;
beforeEach(async () => {
  ({ promise: released, resolve: release } = Promise.withResolvers<void>());
  plane = await startControlPlane({ progressDeadlineMs: 2_000, offlineAfterMs: 300 });
  hosts = new AsyncDisposableStack();
});
afterEach(async () => {
  release();
  await hosts.disposeAsync();
  await plane[Symbol.asyncDispose]();
});
afterAll(() => expect(process.getActiveResourcesInfo().filter((name) => name === "TCPServerWrap")).toEqual([]));

interface FleetHostUnderTest {
  readonly hostId: string;
  readonly host: MemoryHost;
}

/** A connected host; `prepare` makes a step of its updates wait or fail. */
async function addHost(
  hostname: string,
  options: { version?: string; prepare?: (platform: FakePlatform) => void } = {},
): Promise<FleetHostUnderTest> {
  const { hostId, credential } = await enrollHost(plane.fleet, plane, hostname);
  const host = hosts.use(
    new MemoryHost({
      hostname,
      version: options.version ?? OLD_VERSION,
      servers: [plane.agents],
      caPem: plane.caPem,
      credential,
      restartMs: 20,
      ...(options.prepare && { prepare: options.prepare }),
    }),
  );
  await host.log.until("connected");
  return { hostId, host };
}

const noSpace = () => new UpdateError(JobReason.PREFLIGHT_NO_SPACE, { path: "/opt", bytesFree: 1n, bytesNeeded: 2n });

const failing = (platform: FakePlatform): void =>
  platform.before("preflight", () => {
    throw noSpace();
  });

const untilSettled = (fleetUpdateId: string) => untilFleetUpdateSettled(plane.fleet, fleetUpdateId);

async function start(request: Parameters<ControlPlane["fleet"]["startFleetUpdate"]>[0] = {}): Promise<string> {
  return (await plane.fleet.startFleetUpdate(request)).fleetUpdate?.id ?? "";
}

describe("a fleet update", () => {
  test("goes through every online host that is behind, by hostname, one at a time", async () => {
    let inFlight = 0;
    let most = 0;
    const counting = (platform: FakePlatform): void => {
      platform.before("openStage", () => {
        inFlight += 1;
        most = Math.max(most, inFlight);
      });
      platform.before("swap", () => {
        inFlight -= 1;
      });
    };
    for (const name of ["c", "a", "b"]) await addHost(name, { prepare: counting });
    await addHost("current", { version: NEW_VERSION });
    const found = await untilSettled(await start());
    expect(found.fleetUpdate).toMatchObject({
      state: FleetUpdateState.COMPLETED,
      toVersion: NEW_VERSION,
      startedBy: "admin-token",
    });
    expect(hostStates(found)).toEqual(["a SUCCEEDED", "b SUCCEEDED", "c SUCCEEDED"]);
    expect(most).toBe(1);
    const { events } = await plane.fleet.listAuditEvents({ actionPrefix: "fleet." });
    expect(events.map((event) => event.action)).toEqual(["fleet.update_completed", "fleet.update_started"]);
  });

  test("halts at the first failure, tells where and why, and touches nobody after it", async () => {
    await addHost("a");
    const bad = await addHost("b", { prepare: failing });
    const late = await addHost("c");
    const fleetUpdateId = await start();
    const found = await untilSettled(fleetUpdateId);
    expect(found.fleetUpdate).toMatchObject({
      state: FleetUpdateState.HALTED,
      haltedHostId: bad.hostId,
      haltReason: "preflight_no_space",
    });
    expect(hostStates(found)).toEqual(["a SUCCEEDED", "b FAILED preflight_no_space", "c PENDING"]);
    expect(late.host.log.events.some((logged) => logged.event === "update_commanded")).toBe(false);
    const { alerts } = await plane.fleet.listAlerts({ openOnly: true });
    expect(alerts.map((alert) => [alert.kind, alert.hostId, alert.reason])).toEqual([
      [AlertKind.FLEET_UPDATE_HALTED, "", "preflight_no_space"],
      [AlertKind.UPDATE_FAILED, bad.hostId, "preflight_no_space"],
    ]);
  });

  test("halts at a host that does not come back in time", async () => {
    // It stages and is committed, then does not swap.
    await addHost("a", { prepare: (platform) => platform.before("swap", () => released) });
    await addHost("b");
    const found = await untilSettled(await start());
    expect(found.fleetUpdate).toMatchObject({ state: FleetUpdateState.HALTED, haltReason: "agent_lost" });
    expect(hostStates(found)).toEqual(["a FAILED agent_lost", "b PENDING"]);
  });

  test("bears as many failures as its policy says", async () => {
    await addHost("a", { prepare: failing });
    await addHost("b");
    await addHost("c", { prepare: failing });
    await addHost("d");
    const found = await untilSettled(await start({ policy: { maxFailures: 1 } }));
    expect(hostStates(found)).toEqual([
      "a FAILED preflight_no_space",
      "b SUCCEEDED",
      "c FAILED preflight_no_space",
      "d PENDING",
    ]);
  });

  test("runs as many hosts at once as its policy says", async () => {
    for (const name of ["a", "b", "c", "d", "e", "f"]) await addHost(name);
    const found = await untilSettled(await start({ policy: { maxInFlight: 4 } }));
    expect(found.fleetUpdate?.counts).toMatchObject({ total: 6, succeeded: 6 });
  });

  test("is started again over the hosts that did not succeed", async () => {
    let isBroken = true;
    await addHost("a");
    await addHost("b", {
      prepare: (platform) =>
        platform.before("preflight", () => {
          if (isBroken) throw noSpace();
        }),
    });
    await addHost("c");
    const halted = await start();
    await untilSettled(halted);
    isBroken = false;
    const again = await untilSettled(await start({ retryOf: halted }));
    expect(again.fleetUpdate).toMatchObject({ state: FleetUpdateState.COMPLETED, retryOf: halted });
    expect(hostStates(again)).toEqual(["b SUCCEEDED", "c SUCCEEDED"]);
  });

  test("the next completed one resolves the alert of a halted one, and a host at the target resolves its own", async () => {
    const bad = await addHost("a", { prepare: failing });
    await untilSettled(await start());
    const good = await addHost("b");
    await untilSettled(await start({ hostIds: [good.hostId] }));
    const { alerts } = await plane.fleet.listAlerts({ openOnly: true });
    expect(alerts.map((alert) => [alert.kind, alert.hostId])).toEqual([[AlertKind.UPDATE_FAILED, bad.hostId]]);
  });
});

describe("an offline host", () => {
  async function withOffline() {
    const first = await addHost("a");
    const gone = await addHost("b");
    await gone.host[Symbol.asyncDispose]();
    await watchUntil(plane.fleet, async () => {
      const { alerts } = await plane.fleet.listAlerts({ openOnly: true, kind: AlertKind.HOST_OFFLINE });
      return alerts[0];
    });
    const last = await addHost("c");
    return [first, gone, last].map(({ hostId }) => hostId);
  }

  test("halts by default, before anything was sent to it", async () => {
    const hostIds = await withOffline();
    const found = await untilSettled(await start({ hostIds }));
    expect(found.fleetUpdate).toMatchObject({
      state: FleetUpdateState.HALTED,
      haltReason: "host_offline",
      haltedHostId: hostIds[1],
    });
    expect(hostStates(found)).toEqual(["a SUCCEEDED", "b PENDING", "c PENDING"]);
  });

  test("is skipped when the policy says so", async () => {
    const hostIds = await withOffline();
    const found = await untilSettled(await start({ hostIds, policy: { offline: OfflinePolicy.SKIP } }));
    expect(found.fleetUpdate?.state).toBe(FleetUpdateState.COMPLETED);
    expect(hostStates(found)).toEqual(["a SUCCEEDED", "b SKIPPED host_offline", "c SUCCEEDED"]);
  });
});

describe("a host", () => {
  test("that runs the target already is skipped", async () => {
    const current = await addHost("a", { version: NEW_VERSION });
    const behind = await addHost("b");
    const found = await untilSettled(await start({ hostIds: [current.hostId, behind.hostId] }));
    expect(hostStates(found)).toEqual(["a SKIPPED already_at_target", "b SUCCEEDED"]);
  });

  test("that is removed before its turn is skipped", async () => {
    const first = await addHost("a", { prepare: (platform) => platform.before("probe", () => removed) });
    const second = await addHost("b");
    const third = await addHost("c");
    const { promise: removed, resolve } = Promise.withResolvers<void>();
    const fleetUpdateId = await start({ hostIds: [first, second, third].map(({ hostId }) => hostId) });
    await plane.fleet.removeHost({ hostId: second.hostId });
    resolve();
    expect(hostStates(await untilSettled(fleetUpdateId))).toEqual([
      "a SUCCEEDED",
      "b SKIPPED host_removed",
      "c SUCCEEDED",
    ]);
  });

  test("with an update of somebody else is waited for", async () => {
    const probe = Promise.withResolvers<void>();
    const busy = await addHost("a", { prepare: (platform) => platform.before("probe", () => probe.promise) });
    const { job } = await plane.fleet.updateHost({ hostId: busy.hostId });
    const fleetUpdateId = await start();
    const { hosts: waiting } = await plane.fleet.getFleetUpdate({ fleetUpdateId });
    expect(waiting.map((host) => host.state)).toEqual([FleetUpdateHostState.PENDING]);
    probe.resolve();
    await plane.untilEnded(job?.id ?? "");
    expect(hostStates(await untilSettled(fleetUpdateId))).toEqual(["a SKIPPED already_at_target"]);
  });
});

describe("cancel", () => {
  test("in mid run calls off what is not committed and sends nothing more", async () => {
    const held = await addHost("a", { prepare: (platform) => platform.before("probe", () => released) });
    const late = await addHost("b");
    const fleetUpdateId = await start();
    await held.host.log.until("update_commanded");
    await plane.fleet.cancelFleetUpdate({ fleetUpdateId });
    const found = await untilSettled(fleetUpdateId);
    expect(found.fleetUpdate?.state).toBe(FleetUpdateState.CANCELLED);
    expect(hostStates(found)).toEqual(["a CANCELLED", "b PENDING"]);
    expect(late.host.log.events.some((logged) => logged.event === "update_commanded")).toBe(false);
    // Asked again, answered alike.
    expect((await plane.fleet.cancelFleetUpdate({ fleetUpdateId })).fleetUpdate?.state).toBe(
      FleetUpdateState.CANCELLED,
    );
  });

  test("of one that has ended is refused", async () => {
    await addHost("a");
    const fleetUpdateId = await start();
    await untilSettled(fleetUpdateId);
    expect((await refusalOf(plane.fleet.cancelFleetUpdate({ fleetUpdateId })))?.reason).toBe(
      Refusal_Reason.FLEET_UPDATE_ENDED,
    );
  });
});

describe("a start is refused", () => {
  test("while another runs, and says which and who started it", async () => {
    await addHost("a", { prepare: (platform) => platform.before("probe", () => released) });
    const fleetUpdateId = await start();
    const asked = await Promise.all([
      refusalOf(plane.fleet.startFleetUpdate({})),
      refusalOf(plane.fleet.startFleetUpdate({})),
    ]);
    for (const refusal of asked) {
      expect(refusal).toMatchObject({
        reason: Refusal_Reason.FLEET_UPDATE_RUNNING,
        details: { fleet_update_id: fleetUpdateId, started_by: "admin-token" },
      });
    }
    expect((await plane.fleet.listFleetUpdates({})).fleetUpdates).toHaveLength(1);
  });

  test("when nobody is behind, when a host is unknown, and when one is named twice", async () => {
    const { hostId } = await addHost("a", { version: NEW_VERSION });
    expect((await refusalOf(plane.fleet.startFleetUpdate({})))?.reason).toBe(Refusal_Reason.NO_HOSTS);
    const unknown = "00000000-0000-4000-8000-000000000001";
    expect((await refusalOf(plane.fleet.startFleetUpdate({ hostIds: [unknown] })))?.reason).toBe(
      Refusal_Reason.HOST_UNKNOWN,
    );
    await expect(plane.fleet.startFleetUpdate({ hostIds: [hostId, hostId] })).rejects.toThrow(
      /hostIds\[1\]: names .* a second time/,
    );
    await expect(plane.fleet.startFleetUpdate({ policy: { maxInFlight: 20_000 } })).rejects.toThrow(
      /policy.maxInFlight/,
    );
    expect((await plane.fleet.listFleetUpdates({})).fleetUpdates).toEqual([]);
  });

  test("to validate only leaves nothing behind", async () => {
    await addHost("a");
    const { hosts: chosen, fleetUpdate } = await plane.fleet.startFleetUpdate({ validateOnly: true });
    expect(chosen.map((host) => host.hostname)).toEqual(["a"]);
    expect(fleetUpdate?.counts).toMatchObject({ total: 1, pending: 1 });
    expect((await plane.fleet.listFleetUpdates({})).fleetUpdates).toEqual([]);
  });
});
