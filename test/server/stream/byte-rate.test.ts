import fc from "fast-check";
import { expect, test } from "vitest";
import { ByteRate } from "../../../server/stream/byte-rate.ts";
import { ManualClock } from "./manual-clock.ts";

const staying = new AbortController().signal;
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Takes blocks one after another until it has so many. */
async function takeBlocks(rate: ByteRate, bytes: number, count: number, onTaken: () => void): Promise<void> {
  for (let block = 0; block < count; block += 1) {
    if (!rate.tryTake(bytes)) await rate.take(bytes, staying);
    onTaken();
  }
}

test("senders that ask for one block at a time take turns, and the rate holds", async () => {
  const clock = new ManualClock();
  const rate = new ByteRate(65_536, clock);
  // Somebody's block went out just now, so that everybody has to wait.
  expect(rate.tryTake(65_536)).toBe(true);
  const taken = [0, 0, 0, 0, 0];
  const all = taken.map((_, sender) =>
    takeBlocks(rate, 65_536, 6, () => {
      taken[sender] = (taken[sender] ?? 0) + 1;
    }),
  );
  for (let second = 0; second < 29; second += 1) {
    await settle();
    clock.advance(1_000);
    await settle();
    expect(Math.max(...taken) - Math.min(...taken)).toBeLessThanOrEqual(1);
    const sum = taken.reduce((total, blocks) => total + blocks, 0);
    expect(sum).toBe(second + 1);
  }
  clock.advance(2_000);
  await Promise.all(all);
  expect(clock.size).toBe(0);
});

test("over any time no more passes than the rate, a tenth of a second of it and one block", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1_000, max: 50_000_000 }),
      fc.array(fc.integer({ min: 1, max: 65_536 }), { minLength: 1, maxLength: 40 }),
      fc.array(fc.integer({ min: 1, max: 5_000 }), { minLength: 1, maxLength: 20 }),
      async (bytesPerSecond, sizes, pauses) => {
        const clock = new ManualClock();
        const rate = new ByteRate(bytesPerSecond, clock);
        let passed = 0;
        const leaving = new AbortController();
        const all = sizes.map(async (bytes) => {
          if (!rate.tryTake(bytes)) await rate.take(bytes, leaving.signal);
          passed += bytes;
        });
        let elapsedMs = 0;
        for (const pauseMs of pauses) {
          await settle();
          clock.advance(pauseMs);
          elapsedMs += pauseMs;
          await settle();
          expect(passed).toBeLessThanOrEqual((bytesPerSecond * (elapsedMs + 100)) / 1000 + 65_536 + 1);
        }
        leaving.abort(new Error("over"));
        await Promise.allSettled(all);
        expect(clock.size).toBe(0);
      },
    ),
    { numRuns: 50 },
  );
});

test("who gives up waiting takes nothing and lets the next one through", async () => {
  const clock = new ManualClock();
  const rate = new ByteRate(1_000, clock);
  expect(rate.tryTake(5_000)).toBe(true);
  const leaving = new AbortController();
  const left = rate.take(1_000_000, leaving.signal);
  const next = rate.take(10, staying);
  leaving.abort(new Error("gone"));
  await expect(left).rejects.toThrow("gone");
  await expect(rate.take(10, leaving.signal)).rejects.toThrow("gone");
  clock.advance(5_000);
  await next;
  expect(clock.size).toBe(0);
});
