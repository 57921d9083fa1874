import { expect, test } from "vitest";
import type { JobId } from "../../../server/domain/ids.ts";
import { planFleetUpdate, type FleetAction, type FleetSnapshot } from "../../../server/domain/plan-fleet-update.ts";
import {
  AT_TARGET,
  BUSY,
  FAILED,
  hostId,
  NO_ARTIFACT,
  OFFLINE,
  ONE_BY_ONE,
  pending,
  ROLLED_BACK,
  running,
  updating,
} from "./fleet-snapshots.ts";

const TWO_AT_ONCE = { ...ONE_BY_ONE, maxInFlight: 2 };

const dispatch = (index: number): FleetAction => ({ kind: "dispatch", hostId: hostId(index) });
const halt = (index: number, reason: string): FleetAction => ({
  kind: "halt",
  halt: { hostId: hostId(index), reason },
});
const skip = (index: number, reason: string): FleetAction => ({ kind: "skip", hostId: hostId(index), reason });
const settle = (index: number, state: "succeeded" | "failed" | "cancelled", reason: string | null): FleetAction => ({
  kind: "settle",
  hostId: hostId(index),
  state,
  reason,
});

const CASES: readonly [fact: string, snapshot: FleetSnapshot, plan: readonly FleetAction[]][] = [
  [
    "the first host in order is sent its update, and no more than may be in flight",
    running([pending(0), pending(1)]),
    [dispatch(0)],
  ],
  [
    "as many hosts as the policy allows are sent theirs at once",
    running([pending(0), pending(1), pending(2)], { policy: TWO_AT_ONCE }),
    [dispatch(0), dispatch(1)],
  ],
  ["nothing is sent while a host is updating", running([updating(0, { name: "staged" }), pending(1)]), []],
  [
    "nothing is sent, and nothing ends, while a host that is left out is under way",
    running([pending(1)], { underWay: 1 }),
    [],
  ],
  ["an update whose last host is under way and left out does not end", running([], { underWay: 1 }), []],
  [
    "a host whose job succeeded is settled and the next one follows",
    running([updating(0, { name: "succeeded" }), pending(1)]),
    [settle(0, "succeeded", null), dispatch(1)],
  ],
  [
    "the first failure halts",
    running([updating(0, FAILED), pending(1)]),
    [settle(0, "failed", "probe_failed"), halt(0, "probe_failed")],
  ],
  [
    "a rollback counts as a failure",
    running([updating(0, ROLLED_BACK), pending(1)]),
    [settle(0, "failed", "crashed"), halt(0, "crashed")],
  ],
  [
    "a host that was silent until its deadline counts as a failure",
    running([updating(0, { name: "failed", reason: "no_progress", details: {} })]),
    [settle(0, "failed", "no_progress"), halt(0, "no_progress")],
  ],
  [
    "a failure that is borne does not halt",
    running([updating(0, FAILED), pending(1)], { policy: { ...ONE_BY_ONE, maxFailures: 1 } }),
    [settle(0, "failed", "probe_failed"), dispatch(1)],
  ],
  [
    "failures of former rounds count",
    running([updating(1, FAILED), pending(2)], {
      policy: { ...ONE_BY_ONE, maxFailures: 1 },
      failures: 1,
      lastFailure: { hostId: hostId(0), reason: "crashed" },
    }),
    [settle(1, "failed", "probe_failed"), halt(1, "probe_failed")],
  ],
  [
    "a failure that was settled before a crash halts all the same",
    running([pending(1)], { failures: 1, lastFailure: { hostId: hostId(0), reason: "crashed" } }),
    [halt(0, "crashed")],
  ],
  [
    "a job that somebody called off is no failure",
    running([updating(0, { name: "cancelled" }), pending(1)]),
    [settle(0, "cancelled", null), dispatch(1)],
  ],
  [
    "a host already at the target is skipped",
    running([pending(0, AT_TARGET), pending(1)]),
    [skip(0, "already_at_target"), dispatch(1)],
  ],
  [
    "a removed host is skipped",
    running([pending(0, { reason: "host_removed" }), pending(1)]),
    [skip(0, "host_removed"), dispatch(1)],
  ],
  ["an offline host halts", running([pending(0, OFFLINE), pending(1)]), [halt(0, "host_offline")]],
  [
    "an offline host is skipped where the policy says so",
    running([pending(0, OFFLINE), pending(1)], { policy: { ...ONE_BY_ONE, offline: "skip" } }),
    [skip(0, "host_offline"), dispatch(1)],
  ],
  [
    "an offline host whose turn has not come is left alone",
    running([updating(0, { name: "dispatched" }), pending(1, OFFLINE)]),
    [],
  ],
  [
    "a host with a job of somebody else's is waited for, and the order is kept",
    running([pending(0, BUSY), pending(1)], { policy: TWO_AT_ONCE }),
    [],
  ],
  [
    "a host without an artifact fails, and nothing is sent after it",
    running([pending(0, NO_ARTIFACT), pending(1)]),
    [{ kind: "refuse", hostId: hostId(0), reason: "no_artifact" }],
  ],
  [
    "an update with every host settled is complete",
    running([updating(0, { name: "succeeded" })]),
    [settle(0, "succeeded", null), { kind: "complete" }],
  ],
  [
    "an update is not complete while hosts are left beyond the snapshot",
    running([pending(0, AT_TARGET)], { hasMorePending: true }),
    [skip(0, "already_at_target")],
  ],
  [
    "after a halt what is not committed is called off, and what is committed is watched",
    running([updating(0, { name: "restarting" }), updating(1, { name: "staged" }), pending(2)], { state: "halted" }),
    [{ kind: "call_off", jobId: "job-1" as JobId }],
  ],
  [
    "after a cancel hosts are still settled by how their jobs ended",
    running([updating(0, { name: "succeeded" }), pending(1)], { state: "cancelled" }),
    [settle(0, "succeeded", null)],
  ],
];

test.each(CASES)("%s", (_fact, snapshot, plan) => {
  expect(planFleetUpdate(snapshot)).toEqual(plan);
});
