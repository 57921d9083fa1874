import { randomUUID } from "node:crypto";
import { expect, test, vi } from "vitest";
import { ChangeFeed, type FleetReader } from "../../../server/api/change-feed.ts";
import { watchFleet, type SnapshotReader } from "../../../server/api/watch-fleet.ts";
import type { HostId } from "../../../server/domain/ids.ts";
import { ManualClock } from "../stream/manual-clock.ts";

const COUNTS = { total: 0, online: 0, behind: 0, updating: 0, openAlerts: 0 };

/** A fleet without hosts: whoever is named is one that was removed. */
const emptyFleet: FleetReader & SnapshotReader = {
  findHosts: async () => [],
  countHosts: async () => COUNTS,
  findFleetUpdates: async () => [],
  tallyHostsOf: async () => new Map(),
  findAlerts: async () => [],
  listHosts: async () => [],
};

test("a watcher that was told that it caught up is not told again, however soon the next change comes", async () => {
  const clock = new ManualClock();
  const random = { uuid: randomUUID, bytes: Buffer.alloc };
  await using feed = new ChangeFeed(emptyFleet, clock, random, (error) => expect.fail(String(error)));
  const watch = watchFleet(feed, emptyFleet, clock, "", new AbortController().signal);
  const nextCase = async (): Promise<string | undefined> => (await watch.next()).value?.change.case;
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
  const random = { uuid: randomUUID, bytes: Buffer.alloc };
  await using feed = new ChangeFeed(emptyFleet, clock, random, (error) => expect.fail(String(error)));
  const leaving = new AbortController();
  const watch = watchFleet(feed, emptyFleet, clock, "", leaving.signal);
  await watch.next();
  expect((await watch.next()).value?.change.case).toBe("caughtUp");
  for (const _round of [1, 2]) {
    const next = watch.next();
    await vi.waitFor(() => expect(clock.size).toBe(1));
    clock.advance(5_000);
    const { value } = await next;
    expect(value).toMatchObject({ change: { case: undefined }, sequence: 0n, resumeToken: `${feed.id}.0` });
    expect(value?.serverTime).toBeDefined();
  }
  const last = watch.next();
  leaving.abort();
  expect((await last).done).toBe(true);
  expect(clock.size).toBe(0);
});
