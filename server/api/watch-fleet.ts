import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { WatchFleetResponseSchema, type WatchFleetResponse } from "../../gen/rollcall/v1/fleet_pb.js";
import type { Clock } from "../domain/clock.ts";
import type { Host, HostCounts } from "../domain/host.ts";
import type { HostId } from "../domain/ids.ts";
import type { Change, ChangeFeed, Subscription } from "./change-feed.ts";
import { toWireAlert } from "./wire-attention.ts";
import { toWireCounts, toWireHost, toWireJob } from "./wire-fleet.ts";
import { toWireFleetUpdate } from "./wire-rollout.ts";

/** What a snapshot reads. */
export interface SnapshotReader {
  listHosts(query: {
    readonly after?: { readonly hostname: string; readonly id: HostId };
    readonly limit: number;
  }): Promise<readonly Host[]>;
  countHosts(): Promise<HostCounts>;
}

const HOSTS_A_MESSAGE = 200;
/** *Units*: milliseconds. A watcher that hears nothing for some of these knows that the line is dead. */
const LONGEST_SILENCE_MS = 5_000;

/**
 * Streams the fleet: a snapshot, or what was missed since the token, then every change.
 * A watcher that fell too far behind gets a new snapshot on the same stream.
 */
export async function* watchFleet(
  feed: ChangeFeed,
  reader: SnapshotReader,
  clock: Clock,
  resumeToken: string,
  signal: AbortSignal,
): AsyncGenerator<WatchFleetResponse> {
  let position = readResumeToken(resumeToken, feed);
  while (!signal.aborted && !feed.isStopped) {
    const start = position ?? feed.sequence;
    using subscription = feed.subscribe(start);
    if (position === undefined) yield* snapshot(feed, reader, clock, start);
    const isBehind = start !== feed.sequence;
    if (!isBehind) yield message(feed, start, clock.now(), await reader.countHosts(), caughtUp());
    position = yield* follow(feed, subscription, clock, isBehind, signal);
  }
}

/** The next changes; none of them when the watcher has to hear that the stream lives. */
async function takeOrTick(
  subscription: Subscription,
  clock: Clock,
  signal: AbortSignal,
): Promise<readonly Change[] | undefined> {
  const quiet = new AbortController();
  using _tick = clock.schedule(LONGEST_SILENCE_MS, () => quiet.abort());
  return await subscription.take(AbortSignal.any([signal, quiet.signal]));
}

/** Follows until the watcher leaves or fell behind; then the next round starts over. One that was behind hears once that it caught up. */
async function* follow(
  feed: ChangeFeed,
  subscription: Subscription,
  clock: Clock,
  wasBehind: boolean,
  signal: AbortSignal,
): AsyncGenerator<WatchFleetResponse, undefined> {
  let isBehind = wasBehind;
  for (;;) {
    const changes = await takeOrTick(subscription, clock, signal);
    if (changes === undefined || signal.aborted || feed.isStopped) return undefined;
    if (changes.length === 0) yield message(feed, feed.sequence, clock.now(), undefined, { case: undefined });
    for (const change of changes) yield message(feed, change.sequence, change.at, change.counts, toWireChange(change));
    const last = changes.at(-1);
    if (isBehind && last !== undefined) yield message(feed, last.sequence, last.at, last.counts, caughtUp());
    isBehind = false;
  }
}

async function* snapshot(
  feed: ChangeFeed,
  reader: SnapshotReader,
  clock: Clock,
  sequence: number,
): AsyncGenerator<WatchFleetResponse> {
  const counts = await reader.countHosts();
  let after: { hostname: string; id: HostId } | undefined;
  for (let first = true; ; first = false) {
    const hosts = await reader.listHosts({ ...(after === undefined ? {} : { after }), limit: HOSTS_A_MESSAGE });
    yield message(feed, sequence, clock.now(), counts, {
      case: "snapshot",
      value: { $typeName: "rollcall.v1.FleetSnapshot", hosts: hosts.map(toWireHost), first },
    });
    const last = hosts.at(-1);
    if (last === undefined || hosts.length < HOSTS_A_MESSAGE) return;
    after = { hostname: last.hostname, id: last.id };
  }
}

function caughtUp(): WatchFleetResponse["change"] {
  return { case: "caughtUp", value: { $typeName: "rollcall.v1.CaughtUp" } };
}

function toWireChange(change: Change): WatchFleetResponse["change"] {
  switch (change.what.kind) {
    case "host":
      return { case: "host", value: toWireHost(change.what.host) };
    case "job":
      return { case: "job", value: toWireJob(change.what.job) };
    case "fleetUpdate":
      return { case: "fleetUpdate", value: toWireFleetUpdate(change.what.update, change.what.tally) };
    case "alert":
      return { case: "alert", value: toWireAlert(change.what.alert) };
    case "removed":
      return { case: "removedHostId", value: change.what.hostId };
  }
}

function message(
  feed: ChangeFeed,
  sequence: number,
  at: Date,
  counts: HostCounts | undefined,
  change: WatchFleetResponse["change"],
): WatchFleetResponse {
  return create(WatchFleetResponseSchema, {
    sequence: BigInt(sequence),
    serverTime: timestampFromDate(at),
    ...(counts === undefined ? {} : { counts: toWireCounts(counts) }),
    resumeToken: `${feed.id}.${sequence}`,
    change,
  });
}

/** Where to go on, or `undefined` to start over. A token of another server, or too old a one, starts over. */
function readResumeToken(token: string, feed: ChangeFeed): number | undefined {
  const [id, digits] = token.split(".");
  const sequence = Number(digits);
  if (id !== feed.id || !Number.isSafeInteger(sequence) || !feed.canResumeAfter(sequence)) return undefined;
  return sequence;
}
