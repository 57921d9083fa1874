/**
 * The tables that the watcher and the worker work on, in memory. Transactions run one
 * at a time, which is the strictest order that PostgreSQL's locks allow; one that
 * throws leaves nothing behind. Whoever watches sees each transaction whole.
 */
import type { Alert } from "../../server/domain/alert.ts";
import type { FleetHost, FleetUpdate } from "../../server/domain/fleet-update.ts";
import type { HostId, JobId, ReplicaId, SessionEpoch } from "../../server/domain/ids.ts";
import type { Job } from "../../server/domain/job.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** A host as stored. Instants are milliseconds of the database's clock. */
export interface HostRow {
  readonly id: HostId;
  readonly hostname: string;
  readonly os: string;
  readonly arch: string;
  readonly agentVersion: string | null;
  /** Null while a session is open. */
  readonly offlineAtMs: number | null;
  readonly isRemoved: boolean;
  readonly isDuplicated: boolean;
}

export interface SessionRow {
  readonly replicaId: ReplicaId;
  readonly epoch: SessionEpoch;
  readonly isOpen: boolean;
}

export interface JobRow {
  readonly job: Job;
  readonly deadlineMs: number;
  readonly lastDeadlineMs: number;
}

export interface LeaseRow {
  readonly holder: ReplicaId;
  readonly epoch: bigint;
  readonly expiresAtMs: number;
}

/** A host's place in a fleet update, and when in the order of all changes it changed last. */
export interface PlaceRow extends FleetHost {
  readonly changedOrder: number;
}

export interface FleetRow {
  readonly update: FleetUpdate;
  readonly places: readonly PlaceRow[];
}

export interface ReplicaRow {
  readonly aliveAtMs: number;
}

type OpenAlert = Pick<Alert, "kind" | "hostId" | "reason" | "timesRaised">;

interface Tables {
  hosts: HostRow;
  sessions: SessionRow;
  jobs: JobRow;
  fleets: FleetRow;
  replicas: ReplicaRow;
  leases: LeaseRow;
  alerts: OpenAlert;
}

/** One row that a transaction changed. */
export type RowChange = {
  [Name in keyof Tables]: {
    readonly table: Name;
    readonly key: string;
    readonly before: Tables[Name] | undefined;
    readonly after: Tables[Name] | undefined;
  };
}[keyof Tables];

/** A transaction that is over. */
export interface Finished {
  readonly replicaId: ReplicaId;
  /** None when it was undone. */
  readonly changes: readonly RowChange[];
  /** Hosts for which the transaction was told that a session is not the newest. */
  readonly staleHosts: ReadonlySet<HostId>;
  /** True when the transaction was told that its lease is over. */
  readonly isFenced: boolean;
}

/** What a transaction learned that forbids it to write. */
export interface TransactionNotes {
  readonly staleHosts: Set<HostId>;
  isFenced: boolean;
}

const EPOCH_START_MS = Date.UTC(2026, 0, 1);

export class MemoryDatabase {
  readonly #time: VirtualTime;
  readonly #tables: { readonly [Name in keyof Tables]: Map<string, Tables[Name]> } = {
    hosts: new Map(),
    sessions: new Map(),
    jobs: new Map(),
    fleets: new Map(),
    replicas: new Map(),
    leases: new Map(),
    alerts: new Map(),
  };
  readonly #openJobs = new Map<HostId, JobId>();
  readonly #watchers: ((finished: Finished) => void)[] = [];
  #changes: RowChange[] = [];
  #tail: Promise<unknown> = Promise.resolve();
  #jumpedMs = 0;
  #lastEpoch = 0n;
  #order = 0;
  #targetVersion: string | undefined;
  readonly #manifests = new Map<string, Uint8Array>();

  constructor(time: VirtualTime) {
    this.#time = time;
  }

  /** The database's clock. *Units*: milliseconds. */
  get nowMs(): number {
    return EPOCH_START_MS + this.#time.nowMs + this.#jumpedMs;
  }

  get targetVersion(): string | undefined {
    return this.#targetVersion;
  }

  /** Moves the database's clock and nothing else. */
  jumpClock(byMs: number): void {
    this.#jumpedMs += byMs;
  }

  /** Imports a release and makes it the target. */
  setTarget(version: string): void {
    this.#targetVersion = version;
    this.#manifests.set(version, new TextEncoder().encode(version.padEnd(32, "=")));
  }

  /** Enrols a host before the schedule begins. */
  insertHost(host: HostRow): void {
    this.#tables.hosts.set(host.id, host);
  }

  /** *Shape*: `undefined` for a release that was never imported. */
  findManifest(version: string): Uint8Array | undefined {
    return this.#manifests.get(version);
  }

  nextEpoch(): SessionEpoch {
    this.#lastEpoch += 1n;
    return this.#lastEpoch as SessionEpoch;
  }

  nextOrder(): number {
    this.#order += 1;
    return this.#order;
  }

  read<Name extends keyof Tables>(table: Name, key: string): Tables[Name] | undefined {
    return this.#tables[table].get(key);
  }

  rows<Name extends keyof Tables>(table: Name): MapIterator<Tables[Name]> {
    return this.#tables[table].values();
  }

  /** The host's open job, or `undefined`. */
  openJob(hostId: HostId): JobRow | undefined {
    const id = this.#openJobs.get(hostId);
    return id === undefined ? undefined : this.read("jobs", id);
  }

  /** Writes a row inside a transaction; `undefined` deletes it. */
  write<Name extends keyof Tables>(table: Name, key: string, after: Tables[Name] | undefined): void {
    const before = this.read(table, key);
    this.#changes.push({ table, key, before, after } as RowChange);
    this.#put(table, key, after);
  }

  /** Calls `watcher` with every transaction that changed or learned anything. */
  watch(watcher: (finished: Finished) => void): void {
    this.#watchers.push(watcher);
  }

  /** Runs one transaction after those that were asked for before it. */
  async transaction<Result>(
    replicaId: ReplicaId,
    work: (notes: TransactionNotes) => Result | Promise<Result>,
  ): Promise<Result> {
    const before = this.#tail;
    const done = Promise.withResolvers<undefined>();
    this.#tail = done.promise;
    await before;
    this.#time.noteLife();
    const notes: TransactionNotes = { staleHosts: new Set(), isFenced: false };
    try {
      const result = await work(notes);
      this.#finish({ ...notes, replicaId });
      return result;
    } catch (error) {
      for (const { table, key, before: former } of this.#changes.toReversed()) this.#put(table, key, former);
      this.#changes = [];
      this.#finish({ ...notes, replicaId });
      throw error;
    } finally {
      this.#time.noteLife();
      done.resolve(undefined);
    }
  }

  #finish(facts: Omit<Finished, "changes">): void {
    const changes = this.#changes;
    this.#changes = [];
    if (changes.length === 0 && facts.staleHosts.size === 0 && !facts.isFenced) return;
    for (const watcher of this.#watchers) watcher({ ...facts, changes });
  }

  #put<Name extends keyof Tables>(table: Name, key: string, row: Tables[Name] | undefined): void {
    if (table === "jobs") this.#index(key as JobId, row as JobRow | undefined);
    if (row === undefined) this.#tables[table].delete(key);
    else this.#tables[table].set(key, row);
  }

  /** The unique index on open jobs. */
  #index(id: JobId, row: JobRow | undefined): void {
    const hostId = row?.job.hostId ?? this.read("jobs", id)?.job.hostId;
    if (hostId === undefined) return;
    const openId = this.#openJobs.get(hostId);
    if (row !== undefined && row.job.endedAt === null) {
      if (openId !== undefined && openId !== id) throw new Error("duplicate key: the host has an open job");
      this.#openJobs.set(hostId, id);
    } else if (openId === id) {
      this.#openJobs.delete(hostId);
    }
  }
}
