/**
 * What changed, for everybody who watches. Writers name a host or a job after they
 * stored it; the feed reads the rows once for all watchers, numbers the changes and
 * keeps the last ones, so that a watcher who lost its stream goes on where it was.
 * The cost is that of the changes, not of the changes times the watchers, and nothing
 * where nobody watched for a while.
 */
import type { Alert } from "../domain/alert.ts";
import type { Clock, Random } from "../domain/clock.ts";
import type { FleetTally, FleetUpdate } from "../domain/fleet-update.ts";
import type { Host, HostCounts } from "../domain/host.ts";
import type { FleetUpdateId, HostId, JobId } from "../domain/ids.ts";
import type { Job } from "../domain/job.ts";

/** One numbered change. */
export interface Change {
  readonly sequence: number;
  readonly at: Date;
  readonly counts: HostCounts;
  readonly what:
    | { readonly kind: "host"; readonly host: Host }
    | { readonly kind: "job"; readonly job: Job }
    | { readonly kind: "fleetUpdate"; readonly update: FleetUpdate; readonly tally: FleetTally | undefined }
    | { readonly kind: "alert"; readonly alert: Alert }
    | { readonly kind: "removed"; readonly hostId: HostId };
}

/** What the feed reads. */
export interface FleetReader {
  findHosts(ids: readonly HostId[]): Promise<readonly Host[]>;
  findJobs(ids: readonly JobId[]): Promise<readonly Job[]>;
  countHosts(): Promise<HostCounts>;
  findFleetUpdates(ids: readonly FleetUpdateId[]): Promise<readonly FleetUpdate[]>;
  tallyHostsOf(ids: readonly FleetUpdateId[]): Promise<ReadonlyMap<FleetUpdateId, FleetTally>>;
  findAlerts(ids: readonly string[]): Promise<readonly Alert[]>;
}

/** *Units*: milliseconds from the end of a read to the next. The first change after a quiet while is read at once. */
const GATHER_MS = 50;
const KEPT_CHANGES = 2_000;
/** *Units*: milliseconds. Whoever comes back later than this starts over, and nothing is read for nobody. */
const UNWATCHED_MS = 60_000;

/** One watcher's place in the feed. */
export interface Subscription extends Disposable {
  /** Changes after the last ones taken, oldest first; waits until there are some. `undefined` when they are no longer kept. */
  take(signal: AbortSignal): Promise<readonly Change[] | undefined>;
}

export class ChangeFeed implements AsyncDisposable {
  /** Names this feed: the numbers of another mean nothing here. */
  readonly id: string;
  readonly #reader: FleetReader;
  readonly #clock: Clock;
  readonly #onError: (error: unknown) => void;
  /** What changed and was not read yet. */
  #pending: Pending = nothingPending();
  readonly #changes: Change[] = [];
  readonly #wakers = new Set<() => void>();
  #sequence = 0;
  #readAtMs = Number.NEGATIVE_INFINITY;
  #timer: Disposable | undefined;
  #reading: Promise<void> | undefined;
  #isStopped = false;
  #subscribers = 0;
  #leftAtMs = Number.NEGATIVE_INFINITY;

  constructor(reader: FleetReader, clock: Clock, random: Random, onError: (error: unknown) => void) {
    this.#reader = reader;
    this.#clock = clock;
    this.#onError = onError;
    this.id = random.uuid();
  }

  /** Number of the newest change. */
  get sequence(): number {
    return this.#sequence;
  }

  hostChanged(hostId: HostId): void {
    this.#pending.hostIds.add(hostId);
    this.#scheduleRead();
  }

  jobChanged(job: Job): void {
    this.#pending.jobs.set(job.id, job);
    this.hostChanged(job.hostId);
  }

  /** Jobs that another server changed; their hosts are told of apart. */
  jobsChangedElsewhere(ids: readonly JobId[]): void {
    for (const id of ids) this.#pending.jobIds.add(id);
    this.#scheduleRead();
  }

  fleetUpdateChanged(id: FleetUpdateId): void {
    this.#pending.fleetUpdateIds.add(id);
    this.#scheduleRead();
  }

  alertsChanged(ids: readonly string[]): void {
    for (const id of ids) this.#pending.alertIds.add(id);
    this.#scheduleRead();
  }

  /** Something changed that concerns every host: watchers start over. */
  everythingChanged(): void {
    this.#sequence += 1;
    this.#changes.length = 0;
    this.#wake();
  }

  /** Whether every change after `sequence` is still kept. */
  canResumeAfter(sequence: number): boolean {
    const oldest = this.#changes[0]?.sequence ?? this.#sequence + 1;
    return sequence >= oldest - 1 && sequence <= this.#sequence;
  }

  /** Starts after `sequence`. */
  subscribe(sequence: number): Subscription {
    this.#subscribers += 1;
    let position = sequence;
    let waker: (() => void) | undefined;
    return {
      take: async (signal) => {
        while (position === this.#sequence && !signal.aborted && !this.#isStopped) {
          await new Promise<void>((resolve) => {
            const wake = (): void => {
              signal.removeEventListener("abort", wake);
              resolve();
            };
            waker = wake;
            this.#wakers.add(wake);
            signal.addEventListener("abort", wake, { once: true });
          });
        }
        if (!this.canResumeAfter(position)) return undefined;
        const taken = this.#changes.filter((change) => change.sequence > position);
        position = this.#sequence;
        return taken;
      },
      [Symbol.dispose]: () => {
        if (waker !== undefined) this.#wakers.delete(waker);
        this.#subscribers -= 1;
        this.#leftAtMs = this.#clock.monotonicMs();
      },
    };
  }

  /** True once the server shuts down; watchers leave. */
  get isStopped(): boolean {
    return this.#isStopped;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true;
    this.#timer?.[Symbol.dispose]();
    this.#wake();
    await this.#reading;
  }

  #scheduleRead(): void {
    // What changes while a read goes on waits for its end: the slower the database, the more it is asked at a time.
    if (this.#timer !== undefined || this.#reading !== undefined || this.#isStopped) return;
    const sinceReadMs = this.#clock.monotonicMs() - this.#readAtMs;
    this.#timer = this.#clock.schedule(Math.max(0, GATHER_MS - sinceReadMs), () => {
      this.#timer = undefined;
      const unwatchedMs = this.#clock.monotonicMs() - this.#leftAtMs;
      if (this.#subscribers === 0 && unwatchedMs > UNWATCHED_MS) return this.#forget();
      this.#reading = this.#readChanges().then(() => {
        this.#reading = undefined;
        this.#readAtMs = this.#clock.monotonicMs();
        if (isAnythingPending(this.#pending)) this.#scheduleRead();
      });
    });
  }

  /** Nobody watches, or comes back to what there was. */
  #forget(): void {
    this.#pending = nothingPending();
    this.everythingChanged();
  }

  async #readChanges(): Promise<void> {
    const pending = this.#pending;
    this.#pending = nothingPending();
    try {
      const hostIds = [...pending.hostIds];
      const fleetUpdateIds = [...pending.fleetUpdateIds];
      const [hosts, jobs, updates, tallies, alerts, counts] = await Promise.all([
        this.#reader.findHosts(hostIds),
        this.#reader.findJobs([...pending.jobIds]),
        this.#reader.findFleetUpdates(fleetUpdateIds),
        this.#reader.tallyHostsOf(fleetUpdateIds),
        this.#reader.findAlerts([...pending.alertIds]),
        this.#reader.countHosts(),
      ]);
      const found = new Set(hosts.map((host) => host.id));
      for (const job of [...pending.jobs.values(), ...jobs]) this.#append(counts, { kind: "job", job });
      for (const host of hosts) this.#append(counts, { kind: "host", host });
      for (const hostId of hostIds) if (!found.has(hostId)) this.#append(counts, { kind: "removed", hostId });
      for (const update of updates)
        this.#append(counts, { kind: "fleetUpdate", update, tally: tallies.get(update.id) });
      for (const alert of alerts) this.#append(counts, { kind: "alert", alert });
      this.#wake();
    } catch (error) {
      this.#onError(error);
      mergePending(this.#pending, pending);
    }
  }

  #append(counts: HostCounts, what: Change["what"]): void {
    this.#sequence += 1;
    this.#changes.push({ sequence: this.#sequence, at: this.#clock.now(), counts, what });
    if (this.#changes.length > KEPT_CHANGES) this.#changes.shift();
  }

  #wake(): void {
    const wakers = [...this.#wakers];
    this.#wakers.clear();
    for (const wake of wakers) wake();
  }
}

interface Pending {
  readonly hostIds: Set<HostId>;
  readonly jobs: Map<string, Job>;
  /** Jobs that are read first. */
  readonly jobIds: Set<JobId>;
  readonly fleetUpdateIds: Set<FleetUpdateId>;
  readonly alertIds: Set<string>;
}

function nothingPending(): Pending {
  return { hostIds: new Set(), jobs: new Map(), jobIds: new Set(), fleetUpdateIds: new Set(), alertIds: new Set() };
}

function isAnythingPending(pending: Pending): boolean {
  return Object.values(pending).some(({ size }: ReadonlySet<string> | ReadonlyMap<string, Job>) => size > 0);
}

/** Takes up again what could not be read; what is newer stays. */
function mergePending(into: Pending, unread: Pending): void {
  for (const id of unread.hostIds) into.hostIds.add(id);
  for (const [id, job] of unread.jobs) if (!into.jobs.has(id)) into.jobs.set(id, job);
  for (const id of unread.jobIds) into.jobIds.add(id);
  for (const id of unread.fleetUpdateIds) into.fleetUpdateIds.add(id);
  for (const id of unread.alertIds) into.alertIds.add(id);
}
