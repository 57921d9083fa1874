import { expect, test, vi } from "vitest";
import { AuditSealer } from "../../../server/audit/audit-sealer.ts";
import type { AuditSealStore } from "../../../server/audit/ports.ts";
import { ManualClock } from "../stream/manual-clock.ts";

const INTERVAL_MS = 60_000;

/** An audit log of ids alone, and whoever writes to it. */
class FakeLog implements AuditSealStore {
  newestId = 0n;
  writers: string[] = [];
  isAway = false;
  readonly sealedTo: bigint[] = [];

  findBound() {
    if (this.isAway) return Promise.reject(new Error("the database is away"));
    return Promise.resolve(this.newestId === 0n ? undefined : { toId: this.newestId, writers: [...this.writers] });
  }

  hasEnded(writers: readonly string[]) {
    return Promise.resolve(!writers.some((writer) => this.writers.includes(writer)));
  }

  seal(toId: bigint) {
    if (this.sealedTo.at(-1) !== toId) this.sealedTo.push(toId);
    return Promise.resolve({ fromId: 1n, toId, digest: `digest of ${toId}`, sealedAt: new Date(0) });
  }
}

function start(log: FakeLog) {
  const clock = new ManualClock();
  const told: string[] = [];
  const sealer = new AuditSealer({
    store: log,
    clock,
    intervalMs: INTERVAL_MS,
    log: (level, event, fields) => told.push(`${level} ${event} ${JSON.stringify(fields)}`),
  });
  sealer.start();
  /** Lets the next look happen, once the last one is over. */
  const look = async (afterMs = INTERVAL_MS): Promise<void> => {
    await vi.waitFor(() => expect(clock.size).toBe(1));
    clock.advance(afterMs);
    await vi.waitFor(() => expect(clock.size).toBe(1));
  };
  return { clock, told, sealer, look };
}

test("a log that nobody writes to is sealed at once, and told of once an hour", async () => {
  const log = new FakeLog();
  log.newestId = 7n;
  const { told, sealer, look } = start(log);
  await using _running = sealer;
  await look();
  expect(log.sealedTo).toEqual([7n]);
  log.newestId = 9n;
  await look();
  expect(log.sealedTo).toEqual([7n, 9n]);
  expect(told).toEqual(['info audit log sealed {"toId":"7","digest":"digest of 7"}']);
  await look(3_600_000);
  expect(told.at(-1)).toBe('info audit log sealed {"toId":"9","digest":"digest of 9"}');
  expect(told).toHaveLength(2);
});

test("a log that is written to is sealed as far as it went before those ended who wrote then", async () => {
  const log = new FakeLog();
  log.newestId = 7n;
  log.writers = ["a", "b"];
  const { sealer, look } = start(log);
  await using _running = sealer;
  log.newestId = 9n;
  log.writers = ["b", "c"];
  await look();
  expect(log.sealedTo).toEqual([]);
  log.writers = ["c", "d"];
  await look();
  // What came after is complete only when c and d are gone.
  expect(log.sealedTo).toEqual([7n]);
  log.writers = ["e"];
  await look();
  expect(log.sealedTo).toEqual([7n, 9n]);
});

test("a look that fails is told of, and the next one seals", async () => {
  const log = new FakeLog();
  log.newestId = 7n;
  log.isAway = true;
  const { told, sealer, look } = start(log);
  await using _running = sealer;
  await vi.waitFor(() => expect(told).toHaveLength(1));
  expect(told[0]).toContain("the database is away");
  log.isAway = false;
  await look();
  expect(log.sealedTo).toEqual([7n]);
});

test("a sealer that is disposed looks no more", async () => {
  const { clock, sealer } = start(new FakeLog());
  await sealer[Symbol.asyncDispose]();
  expect(clock.size).toBe(0);
});
