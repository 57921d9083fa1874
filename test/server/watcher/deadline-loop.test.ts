import { describe, expect, test } from "vitest";
import { DEFAULT_DURATIONS } from "../../../server/domain/durations.ts";
import { DeadlineLoop } from "../../../server/watcher/deadline-loop.ts";
import { HostMailboxes } from "../../../server/watcher/host-mailboxes.ts";
import type { DeadlineStore, UpdateStore } from "../../../server/watcher/ports.ts";

/** A database clock and a process clock that a test moves by hand. */
function twoClocks(waitingJobs: () => readonly string[] = () => []) {
  const time = { databaseMs: Date.UTC(2026, 0, 1), monotonicMs: 1_000 };
  const calls: string[] = [];
  const windows: { from: Date; to: Date }[] = [];
  const deadlines: DeadlineStore = {
    readClock: async () => new Date(time.databaseMs),
    listGoneOffline: async () => [],
    graceDeadlines: async (graceMs) => void calls.push(`grace ${graceMs}`),
    absorbClockJump: async (jumpMs) => void calls.push(`jump ${Math.round(jumpMs)}`),
    renewWaitingJobs: async (jobIds) => void calls.push(`renew ${jobIds.join(" ")}`),
    touchHosts: async () => undefined,
    reviewHosts: async () => [],
    recordAdoption: async () => undefined,
  };
  const store = {
    transaction: async (work: (tx: unknown) => Promise<unknown>) =>
      work({
        claimDueJobs: async (window: { from: Date; to: Date }) => {
          windows.push(window);
          return [];
        },
      }),
  } as unknown as UpdateStore;
  const loop = new DeadlineLoop({
    deadlines,
    waitingJobs,
    store,
    mailboxes: new HostMailboxes(),
    changes: { hostChanged: () => undefined, jobChanged: () => undefined, everythingChanged: () => undefined },
    reachPoint: () => undefined,
    clock: {
      now: () => new Date(time.databaseMs),
      monotonicMs: () => time.monotonicMs,
      schedule: () => ({ [Symbol.dispose]: () => undefined }),
    },
    durations: DEFAULT_DURATIONS,
    log: () => undefined,
  });
  const pass = (databaseMs: number, monotonicMs = databaseMs) => {
    time.databaseMs += databaseMs;
    time.monotonicMs += monotonicMs;
  };
  return { loop, calls, windows, time, pass };
}

describe("a tick", () => {
  test("gives jobs that wait for a delivery their time when they begin to wait, then every third of it", async () => {
    const waiting = new Set<string>();
    const { loop, calls, pass } = twoClocks(() => [...waiting]);
    await loop.start();
    calls.length = 0;
    const tickFor = async (seconds: number): Promise<void> => {
      for (let second = 0; second < seconds; second += 1) {
        pass(1_000);
        await loop.tick();
      }
    };
    await tickFor(2);
    expect(calls).toEqual([]);
    waiting.add("one");
    await tickFor(10);
    waiting.add("two");
    await tickFor(30);
    expect(calls).toEqual(["renew one", "renew two", "renew one"]);
    waiting.clear();
    await tickFor(60);
    expect(calls).toHaveLength(3);
    waiting.add("one");
    await tickFor(1);
    expect(calls.at(-1)).toBe("renew one");
  });

  test("on time changes no deadline", async () => {
    const { loop, calls, pass } = twoClocks();
    await loop.start();
    calls.length = 0;
    for (let tick = 0; tick < 5; tick += 1) {
      pass(1_000);
      await loop.tick();
    }
    expect(calls).toEqual([]);
  });

  test("after the process stood still gives open jobs grace", async () => {
    const { loop, calls, pass } = twoClocks();
    await loop.start();
    calls.length = 0;
    pass(20_000);
    await loop.tick();
    expect(calls).toEqual(["grace 30000"]);
  });

  test.each([86_400_000, -86_400_000])(
    "after the database's clock jumped by %i ms gives everything its full time again",
    async (jumpMs) => {
      const { loop, calls, pass } = twoClocks();
      await loop.start();
      calls.length = 0;
      pass(1_000 + jumpMs, 1_000);
      await loop.tick();
      expect(calls).toEqual([`jump ${jumpMs}`]);
    },
  );

  test("claims only while the database's clock reads what it should", async () => {
    const { loop, windows, time, pass } = twoClocks();
    await loop.start();
    pass(1_000);
    await loop.tick();
    const [window] = windows;
    expect(window?.from.getTime()).toBe(time.databaseMs - DEFAULT_DURATIONS.stallMs);
    expect(window?.to.getTime()).toBe(time.databaseMs + DEFAULT_DURATIONS.stallMs);
  });
});

test("a starting server gives open jobs grace before it looks at deadlines", async () => {
  const { loop, calls } = twoClocks();
  await loop.start();
  expect(calls).toEqual(["grace 30000"]);
});
