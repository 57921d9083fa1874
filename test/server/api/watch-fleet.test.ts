import { randomUUID } from "node:crypto";
import { expect, test, vi } from "vitest";
import type { WatchFleetResponse } from "../../../gen/rollcall/v1/fleet_pb.js";
import { ChangeFeed, type FleetReader } from "../../../server/api/change-feed.ts";
import { watchFleet, type SnapshotReader } from "../../../server/api/watch-fleet.ts";
import { systemRandom } from "../../../server/clock-system.ts";
import type { Host } from "../../../server/domain/host.ts";
import type { HostId } from "../../../server/domain/ids.ts";
import { ManualClock } from "../stream/manual-clock.ts";

const COUNTS = { total: 0, online: 0, behind: 0, updating: 0, openAlerts: 0 };

/** A fleet without hosts: whoever is named is one that was removed. */
const emptyFleet: FleetReader & SnapshotReader = {
  findHosts: async () => [],
  findJobs: async () => [],
  countHosts: async () => COUNTS,
  findFleetUpdates: async () => [],
  tallyHostsOf: async () => new Map(),
  findAlerts: async () => [],
  listHosts: async () => [],
};

/** What a watcher is told next; `undefined` once the watch ended. */
async function next(watch: ReturnType<typeof watchFleet>): Promise<WatchFleetResponse | undefined> {
  const result: IteratorResult<WatchFleetResponse, unknown> = await watch.next();
  return result.done === true ? undefined : result.value;
}

test("a watcher that was told that it caught up is not told again, however soon the next change comes", async () => {
  const clock = new ManualClock();
  await using feed = new ChangeFeed(emptyFleet, clock, systemRandom, (error) => expect.fail(String(error)));
  const watch = watchFleet(feed, emptyFleet, clock, "", new AbortController().signal);
  const nextCase = async () => (await next(watch))?.change.case;
  expect(await nextCase()).toBe("snapshot");
  expect(await nextCase()).toBe("caughtUp");
  using other = feed.subscribe(feed.sequence);
  feed.hostChanged(randomUUID() as HostId);
  clock.advance(0);
  await other.take(new AbortController().signal);
  expect(await nextCase()).toBe("removedHostId");
  feed.hostChanged(randomUUID() as HostId);
  clock.advance(50);
  expect(await nextCase()).toBe("removedHostId");
  expect(clock.size).toBe(0);
});

test("a watcher to whom nothing happens hears every five seconds that the stream lives", async () => {
  const clock = new ManualClock();
  await using feed = new ChangeFeed(emptyFleet, clock, systemRandom, (error) => expect.fail(String(error)));
  const leaving = new AbortController();
  const watch = watchFleet(feed, emptyFleet, clock, "", leaving.signal);
  await watch.next();
  expect((await next(watch))?.change.case).toBe("caughtUp");
  for (const _round of [1, 2]) {
    const notice = next(watch);
    await vi.waitFor(() => expect(clock.size).toBe(1));
    clock.advance(5_000);
    const said = await notice;
    expect(said).toMatchObject({ change: { case: undefined }, sequence: 0n, resumeToken: `${feed.id}.0` });
    expect(said?.serverTime).toBeDefined();
  }
  const last = watch.next();
  leaving.abort();
  expect((await last).done).toBe(true);
  expect(clock.size).toBe(0);
});

test("what changes while a read takes long is read together after it, and what could not be read is read again", async () => {
  const clock = new ManualClock();
  const reads: { readonly ids: readonly HostId[]; readonly end: PromiseWithResolvers<readonly Host[]> }[] = [];
  const slowFleet: FleetReader = {
    ...emptyFleet,
    findHosts: (ids) => {
      const end = Promise.withResolvers<readonly Host[]>();
      reads.push({ ids, end });
      return end.promise;
    },
  };
  const failures: unknown[] = [];
  await using feed = new ChangeFeed(slowFleet, clock, systemRandom, (error) => failures.push(error));
  using _watching = feed.subscribe(feed.sequence);
  const [first, second, third] = Array.from({ length: 3 }, () => randomUUID() as HostId);
  if (first === undefined || second === undefined || third === undefined) throw new Error("three were made");
  feed.hostChanged(first);
  clock.advance(0);
  for (const id of [second, third]) {
    feed.hostChanged(id);
    clock.advance(1_000);
  }
  expect(reads.map(({ ids }) => ids)).toEqual([[first]]);
  reads[0]?.end.reject(new Error("the database is away"));
  await vi.waitFor(() => expect(clock.size).toBe(1));
  clock.advance(49);
  expect(reads).toHaveLength(1);
  clock.advance(1);
  expect(new Set(reads[1]?.ids)).toEqual(new Set([first, second, third]));
  reads[1]?.end.resolve([]);
  using watcher = feed.subscribe(0);
  expect(await watcher.take(new AbortController().signal)).toHaveLength(3);
  expect(failures).toHaveLength(1);
});

test("what changes is read for who watches or left a moment ago, and who comes back later starts over", async () => {
  const clock = new ManualClock();
  let reads = 0;
  const counting = {
    ...emptyFleet,
    countHosts: async () => {
      reads += 1;
      return COUNTS;
    },
  };
  await using feed = new ChangeFeed(counting, clock, systemRandom, (error) => expect.fail(String(error)));
  const change = (): void => {
    feed.hostChanged(randomUUID() as HostId);
    clock.advance(50);
  };
  change();
  expect(reads).toBe(0);

  const { sequence } = feed;
  {
    using watching = feed.subscribe(sequence);
    change();
    expect(await watching.take(new AbortController().signal)).toHaveLength(1);
  }
  clock.advance(59_000);
  change();
  // Not only begun: what changes while a read goes on is read after it.
  await vi.waitFor(() => expect([reads, feed.sequence]).toEqual([2, sequence + 2]));
  expect(feed.canResumeAfter(sequence)).toBe(true);
  clock.advance(2_000);
  change();
  await vi.waitFor(() => {
    clock.advance(50);
    expect(feed.canResumeAfter(sequence)).toBe(false);
  });
  expect(reads).toBe(2);
});
