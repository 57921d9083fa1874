import { expect, test } from "vitest";
import type { HostId, SessionEpoch } from "../../../server/domain/ids.ts";
import type { OpenSession, Renewal } from "../../../server/replicas/ports.ts";
import { ReplicaLoop } from "../../../server/replicas/replica-loop.ts";

const LEASE_MS = 10_000;
const session = (name: string, epoch: number): OpenSession => ({
  hostId: name as HostId,
  epoch: BigInt(epoch) as SessionEpoch,
});

/** A loop whose clocks and database a test moves by hand. */
function oneReplica() {
  const time = { databaseMs: Date.UTC(2026, 0, 1), monotonicMs: 1_000 };
  const state = { renewal: "held" as Renewal, isAway: false, here: [] as OpenSession[], stored: [] as OpenSession[] };
  const calls: string[] = [];
  const loop = new ReplicaLoop({
    store: {
      renew: async () => {
        if (state.isAway) throw new Error("away");
        return { renewal: state.renewal, at: new Date(time.databaseMs) };
      },
      freeDead: async () => {
        calls.push("free");
        return [];
      },
      listSessions: async () => state.stored,
      closeSession: async ({ hostId }) => {
        calls.push(`close ${hostId}`);
        return true;
      },
    },
    sessions: {
      list: () => state.here,
      has: (hostId) => state.here.some((held) => held.hostId === hostId),
      endUpTo: (hostId, epoch) => calls.push(`end ${hostId} ${epoch}`),
      sendAway: () => calls.push("send away"),
    },
    hostChanged: (hostId) => calls.push(`changed ${hostId}`),
    onTaken: () => calls.push("taken"),
    clock: {
      now: () => new Date(time.databaseMs),
      monotonicMs: () => time.monotonicMs,
      schedule: () => ({ [Symbol.dispose]: () => undefined }),
    },
    durations: { leaseMs: LEASE_MS, stallMs: 5_000 },
    log: () => undefined,
  });
  /** Renews the lease so often, each time after so long. */
  const renew = async (times: number, afterMs: number, databaseMs = afterMs): Promise<void> => {
    for (let count = 0; count < times; count += 1) {
      time.monotonicMs += afterMs;
      time.databaseMs += databaseMs;
      await loop.tick().catch(() => undefined);
    }
  };
  return { loop, state, calls, renew };
}

test("a server judges others only after it watched for the life of a lease", async () => {
  const { calls, renew } = oneReplica();
  await renew(4, 2_500);
  expect(calls).toEqual([]);
  await renew(1, 2_500);
  expect(calls).toEqual(["free"]);
});

test("one that stood still, or whose database's clock jumped, watches anew", async () => {
  for (const [monotonicMs, databaseMs] of [
    [LEASE_MS + 1, LEASE_MS + 1],
    [2_500, 60_000],
  ] as const) {
    const { calls, renew } = oneReplica();
    await renew(5, 2_500);
    calls.length = 0;
    await renew(1, monotonicMs, databaseMs);
    await renew(3, 2_500);
    expect(calls).toEqual([]);
    await renew(1, 2_500);
    expect(calls).toEqual(["free"]);
  }
});

test("one that was taken for dead sends its agents away, and one whose name was taken ends", async () => {
  const { calls, state, renew } = oneReplica();
  state.renewal = "freed";
  await renew(1, 2_500);
  state.renewal = "taken";
  await renew(1, 2_500);
  expect(calls).toEqual(["send away", "taken"]);
});

test("a review ends streams whose sessions are void and closes sessions without a stream", async () => {
  const { loop, calls, state } = oneReplica();
  state.here = [session("kept", 1), session("replaced", 2), session("gone", 3)];
  state.stored = [session("kept", 1), session("replaced", 7), session("left", 4)];
  loop.review();
  await loop[Symbol.asyncDispose]();
  expect(calls).toEqual(["end replaced 2", "end gone 3", "close left", "changed left"]);
});
