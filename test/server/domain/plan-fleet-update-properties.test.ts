import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { FleetHostState, FleetUpdatePolicy } from "../../../server/domain/fleet-update.ts";
import type { HostId, JobId } from "../../../server/domain/ids.ts";
import { isOpen, type JobState } from "../../../server/domain/job-state.ts";
import {
  planFleetUpdate,
  type FleetAction,
  type FleetSnapshot,
  type PlannedHost,
} from "../../../server/domain/plan-fleet-update.ts";
import { AT_TARGET, BUSY, FAILED, NO_ARTIFACT, OFFLINE, pending, ROLLED_BACK, updating } from "./fleet-snapshots.ts";

const jobState: fc.Arbitrary<JobState> = fc.constantFrom<JobState>(
  { name: "dispatched" },
  { name: "downloading", bytesDone: 1, bytesTotal: 2 },
  { name: "staged" },
  { name: "restarting" },
  { name: "succeeded" },
  FAILED,
  ROLLED_BACK,
  { name: "cancelled" },
);
const refusal = fc.constantFrom<PlannedHost["refusal"]>(undefined, undefined, OFFLINE, AT_TARGET, BUSY, NO_ARTIFACT, {
  reason: "host_removed",
});
const policy: fc.Arbitrary<FleetUpdatePolicy> = fc.record({
  maxInFlight: fc.integer({ min: 1, max: 4 }),
  maxFailures: fc.integer({ min: 0, max: 3 }),
  offline: fc.constantFrom("halt", "skip"),
});
const snapshots: fc.Arbitrary<FleetSnapshot> = fc
  .record({
    state: fc.constantFrom<FleetSnapshot["state"]>("running", "running", "running", "halted", "cancelled", "completed"),
    policy,
    failures: fc.integer({ min: 0, max: 3 }),
    jobs: fc.array(jobState, { maxLength: 4 }),
    refusals: fc.array(refusal, { maxLength: 6 }),
    mostUnderWay: fc.integer({ min: 0, max: 4 }),
    hasMorePending: fc.boolean(),
  })
  .map(({ jobs, refusals, failures, mostUnderWay, ...facts }) => ({
    ...facts,
    failures,
    underWay: Math.min(mostUnderWay, Math.max(0, facts.policy.maxInFlight - jobs.length)),
    lastFailure: failures === 0 ? undefined : { hostId: "former" as HostId, reason: "crashed" },
    hosts: [
      ...jobs.slice(0, facts.policy.maxInFlight).map((state, index) => updating(index, state)),
      ...refusals.map((found, index) => pending(10 + index, found)),
    ],
  }));

/** The snapshot after one action was carried out, as the store would show it. */
function carryOut(snapshot: FleetSnapshot, action: FleetAction): FleetSnapshot {
  const move = (id: HostId, change: (host: PlannedHost) => PlannedHost): readonly PlannedHost[] =>
    snapshot.hosts.map((host) => (host.hostId === id ? change(host) : host));
  const without = (id: HostId): readonly PlannedHost[] => snapshot.hosts.filter((host) => host.hostId !== id);
  switch (action.kind) {
    case "settle":
    case "refuse": {
      const hosts = without(action.hostId);
      if (action.kind === "settle" && action.state !== "failed") return { ...snapshot, hosts };
      const lastFailure = { hostId: action.hostId, reason: action.reason ?? "failed" };
      return { ...snapshot, hosts, failures: snapshot.failures + 1, lastFailure };
    }
    case "skip":
      return { ...snapshot, hosts: without(action.hostId) };
    case "dispatch": {
      const job = { id: `job of ${action.hostId}` as JobId, state: { name: "dispatched" } as const };
      return { ...snapshot, hosts: move(action.hostId, (host) => ({ ...host, state: "updating", job })) };
    }
    case "call_off":
      return {
        ...snapshot,
        hosts: snapshot.hosts.map((host) =>
          host.job?.id === action.jobId ? { ...host, job: { ...host.job, state: { name: "cancelled" } } } : host,
        ),
      };
    case "halt":
      return { ...snapshot, state: "halted" };
    case "complete":
      return { ...snapshot, state: "completed" };
  }
}

function countOf(snapshot: FleetSnapshot, state: FleetHostState): number {
  return snapshot.hosts.filter((host) => host.state === state).length;
}

describe("whatever the snapshot", () => {
  const holds = (property: (snapshot: FleetSnapshot, plan: readonly FleetAction[]) => void): void =>
    fc.assert(
      fc.property(snapshots, (snapshot) => property(snapshot, planFleetUpdate(snapshot))),
      { numRuns: 10_000 },
    );
  const dispatched = (plan: readonly FleetAction[]): readonly HostId[] =>
    plan.flatMap((action) => (action.kind === "dispatch" ? [action.hostId] : []));

  test("never more hosts are in flight than the policy allows, at any point of the plan", () => {
    holds((snapshot, plan) => {
      let now = snapshot;
      for (const action of plan) {
        now = carryOut(now, action);
        expect(now.underWay + countOf(now, "updating")).toBeLessThanOrEqual(snapshot.policy.maxInFlight);
      }
    });
  });

  test("nothing is sent, skipped or ended once the fleet update is over", () => {
    holds((snapshot, plan) => {
      if (snapshot.state === "running") return;
      for (const { kind } of plan) expect(["settle", "call_off"]).toContain(kind);
    });
  });

  test("a halt is the last word, and comes with every failure beyond what is borne", () => {
    holds((snapshot, plan) => {
      const index = plan.findIndex(({ kind }) => kind === "halt");
      if (index >= 0) {
        expect(index).toBe(plan.length - 1);
        expect(dispatched(plan)).toEqual(dispatched(plan.slice(0, index)));
      }
      const settled = plan.filter((action) => action.kind === "settle" && action.state === "failed").length;
      if (snapshot.state !== "running" || snapshot.failures + settled <= snapshot.policy.maxFailures) return;
      expect(plan.at(-1)?.kind).toBe("halt");
      expect(dispatched(plan)).toEqual([]);
    });
  });

  test("only a host against which nothing stands is sent anything, and only once", () => {
    holds((snapshot, plan) => {
      const sent = dispatched(plan);
      expect(new Set(sent).size).toBe(sent.length);
      for (const id of sent) {
        const host = snapshot.hosts.find((candidate) => candidate.hostId === id);
        expect(host?.state).toBe("pending");
        expect(host?.refusal).toBeUndefined();
      }
    });
  });

  test("no host overtakes one that is waited for or that halts", () => {
    holds((snapshot, plan) => {
      const blocked = snapshot.hosts.findIndex(
        ({ state, refusal: found }) =>
          state === "pending" &&
          (found?.reason === "update_running" ||
            (found?.reason === "host_offline" && snapshot.policy.offline === "halt")),
      );
      if (blocked < 0) return;
      const after = new Set(snapshot.hosts.slice(blocked + 1).map((host) => host.hostId));
      for (const id of dispatched(plan)) expect(after.has(id)).toBe(false);
    });
  });

  test("a fleet update completes only when no host of it is left", () => {
    holds((snapshot, plan) => {
      const end = plan.find(({ kind }) => kind === "complete");
      if (end === undefined) return;
      const left = plan.reduce(carryOut, snapshot);
      expect(left.hosts).toEqual([]);
      expect(snapshot.hasMorePending).toBe(false);
    });
  });

  test("the plan does not change what it is made from, and is the same when it is made again", () => {
    holds((snapshot, plan) => {
      const before = structuredClone(snapshot);
      expect(planFleetUpdate(snapshot)).toEqual(plan);
      expect(snapshot).toEqual(before);
    });
  });

  test("a plan that was carried out half leads on to an end that differs in no host", () => {
    fc.assert(
      fc.property(snapshots, fc.nat({ max: 8 }), (snapshot, cut) => {
        const half = planFleetUpdate(snapshot).slice(0, cut).reduce(carryOut, snapshot);
        expect(runOut(half)).toEqual(runOut(snapshot));
      }),
      { numRuns: 10_000 },
    );
  });

  test("every host is accounted for: those settled, skipped and refused, and those that are left", () => {
    holds((snapshot, plan) => {
      const done = plan.filter(({ kind }) => kind === "settle" || kind === "skip" || kind === "refuse").length;
      expect(done + plan.reduce(carryOut, snapshot).hosts.length).toBe(snapshot.hosts.length);
      const ended = snapshot.hosts.filter(({ job }) => job !== undefined && !isOpen(job.state.name)).length;
      expect(plan.filter(({ kind }) => kind === "settle")).toHaveLength(ended);
    });
  });
});

/** Plans and carries out until nothing is left to do that does not wait for a host. */
function runOut(start: FleetSnapshot): FleetSnapshot {
  let now = start;
  for (let round = 0; round < 50; round += 1) {
    const plan = planFleetUpdate(now);
    if (plan.length === 0) return now;
    now = plan.reduce(carryOut, now);
  }
  throw new Error("the plans come to no end");
}
