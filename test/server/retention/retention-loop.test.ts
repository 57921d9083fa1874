import { expect, test } from "vitest";
import { readConfig } from "../../../server/config.ts";
import { RetentionLoop } from "../../../server/retention/retention-loop.ts";
import type { RetentionStore } from "../../../server/retention/ports.ts";
import { ManualClock } from "../stream/manual-clock.ts";

const HOUR_MS = 3_600_000;
const PAUSE_MS = 1_000;

/** A store that has so many jobs to delete, and tells what it was asked. */
function createStore(jobs: number, isMine = true) {
  const asked: string[] = [];
  let left = jobs;
  const store: RetentionStore = {
    holdLease: async () => isMine,
    trimJobs: async (days, limit) => {
      asked.push(`jobs of ${days} days`);
      const deleted = Math.min(left, limit);
      left -= deleted;
      return deleted;
    },
    trimTokens: async (days) => {
      asked.push(`tokens of ${days} days`);
      return 0;
    },
    trimAdoption: async () => 0,
    trimSessions: async () => 0,
  };
  return { asked, store, left: () => left };
}

const lifetimes = { jobs: 400, tokens: 0, adoption: 800 };

test("batches follow one another with a pause, and then an hour is waited; what is kept for ever is not asked for", async () => {
  const clock = new ManualClock();
  const { asked, store, left } = createStore(1_200);
  await using loop = new RetentionLoop({ store, lifetimes, clock, log: () => undefined });
  loop.start();
  await clock.scheduled(PAUSE_MS);
  expect(left()).toBe(700);
  clock.advance(PAUSE_MS);
  await clock.scheduled(PAUSE_MS);
  clock.advance(PAUSE_MS);
  await clock.scheduled(HOUR_MS);
  expect(left()).toBe(0);
  expect(asked).toEqual(["jobs of 400 days", "jobs of 400 days", "jobs of 400 days"]);
});

test("nothing is deleted by a server that does not hold the lease, and a failure ends no loop", async () => {
  const clock = new ManualClock();
  const { asked, store } = createStore(10, false);
  await using _idle = new RetentionLoop({ store, lifetimes, clock, log: () => undefined });
  _idle.start();
  await clock.scheduled(HOUR_MS);
  expect(asked).toEqual([]);
  const failing = { ...store, holdLease: () => Promise.reject(new Error("the database is away")) };
  const said: unknown[] = [];
  const other = new ManualClock();
  await using loop = new RetentionLoop({
    store: failing,
    lifetimes,
    clock: other,
    log: (_, event, fields) => said.push(event, fields),
  });
  loop.start();
  await other.scheduled(HOUR_MS);
  expect(said).toEqual(["trimming", { error: "Error: the database is away" }]);
});

test("lifetimes are days, 0 for ever", () => {
  expect(readConfig([], {}).lifetimes).toEqual({ jobs: 400, tokens: 90, adoption: 800 });
  expect(readConfig([], { ROLLCALL_RETENTION_JOBS_DAYS: "0" }).lifetimes.jobs).toBe(0);
  expect(() => readConfig([], { ROLLCALL_RETENTION_TOKENS_DAYS: "a week" })).toThrow(
    "ROLLCALL_RETENTION_TOKENS_DAYS must be a whole number from 0 to 36500, not a week",
  );
});
