/**
 * Watches every transaction and every swap, and says what must never be.
 *
 * Deadlines are kept here once more, on the one line of time that never jumps: a job
 * may end for its deadline neither before that instant nor later than 10 s of time in
 * which a server ran.
 */
import { countFleetHosts, type FleetHostState } from "../../server/domain/fleet-update.ts";
import type { HostId, JobId } from "../../server/domain/ids.ts";
import { isOpen } from "../../server/domain/job-state.ts";
import type { Finished, FleetRow, JobRow, MemoryDatabase, RowChange } from "./memory-database.ts";
import { holdsLease } from "./memory-fleets.ts";
import { isQuarantined } from "./memory-updates.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** How much too early a deadline may seem: what a clock may jump by without being noticed. */
const EARLY_MS = 5_500;
const LATE_MS = 10_000;

const MOVES: Readonly<Record<FleetHostState, readonly FleetHostState[]>> = {
  pending: ["updating", "skipped", "failed"],
  updating: ["succeeded", "failed", "cancelled"],
  succeeded: [],
  failed: [],
  skipped: [],
  cancelled: [],
};

export class Auditor {
  readonly #time: VirtualTime;
  readonly #db: MemoryDatabase;
  readonly #tell: ((line: string) => void) | undefined;
  readonly #violations: string[] = [];
  readonly #sightings = new Set<string>();
  /** When each open job is due. *Units*: virtual milliseconds. */
  readonly #dueAtMs = new Map<string, number>();
  readonly #overdueMs = new Map<string, number>();
  readonly #swappedJobs = new Set<string>();
  /** `<host> <version>` of everything that ever stood on a host. */
  readonly #installed = new Set<string>();

  /** `tell` is given one line for everything that happens. */
  constructor(time: VirtualTime, db: MemoryDatabase, tell: ((line: string) => void) | undefined) {
    this.#time = time;
    this.#db = db;
    this.#tell = tell;
    db.watch((finished) => this.#review(finished));
  }

  get violations(): readonly string[] {
    return this.#violations;
  }

  get sightings(): ReadonlySet<string> {
    return this.#sightings;
  }

  /** Something that must never be. */
  object(violation: string): void {
    const line = `${(this.#time.nowMs / 1_000).toFixed(3)} s: ${violation}`;
    this.#violations.push(line);
    this.#tell?.(`VIOLATION ${line}`);
  }

  /** Something that some schedule has to reach. */
  note(sighting: string): void {
    this.#sightings.add(sighting);
    this.#tell?.(`${(this.#time.nowMs / 1_000).toFixed(3)} s: ${sighting}`);
  }

  #tellOf({ table, key, after }: RowChange, replicaId: string): void {
    if (this.#tell === undefined || table === "leases" || table === "replicas") return;
    const text = JSON.stringify(after, (_name, value: unknown) => (typeof value === "bigint" ? Number(value) : value));
    const shown =
      table === "jobs"
        ? `${after?.job.hostId} ${JSON.stringify(after?.job.state)}`
        : table === "fleets"
          ? `${after?.update.state}: ${after?.places.map(({ state }) => state).join(" ")}`
          : text;
    this.#tell(`${(this.#time.nowMs / 1_000).toFixed(3)} s: ${replicaId} writes ${table} ${key} ${shown}`);
  }

  installed(hostId: HostId, version: string): void {
    this.#installed.add(`${hostId} ${version}`);
  }

  /** The binary of a host is being replaced. */
  swapped(hostId: HostId, jobId: string, version: string): void {
    const job = this.#db.read("jobs", jobId)?.job;
    // Whoever removes a host between commit and swap can't call the swap back.
    const isExcused = this.#db.read("hosts", hostId)?.isRemoved === true;
    if (job?.state.name !== "restarting" && !isExcused)
      this.object(`a swap starts for a job that is ${job?.state.name ?? "unknown"} (${jobId})`);
    if (this.#swappedJobs.has(jobId)) this.object(`the job ${jobId} swaps a second time`);
    this.#swappedJobs.add(jobId);
    this.installed(hostId, version);
  }

  /** This much time has passed in which a server ran. */
  served(elapsedMs: number): void {
    for (const [jobId, dueAtMs] of this.#dueAtMs) {
      if (this.#time.nowMs <= dueAtMs) {
        this.#overdueMs.delete(jobId);
        continue;
      }
      const overdueMs = (this.#overdueMs.get(jobId) ?? 0) + elapsedMs;
      this.#overdueMs.set(jobId, overdueMs);
      if (overdueMs > LATE_MS) this.object(`the job ${jobId} outlives its deadline by ${overdueMs} ms`);
    }
  }

  #review(finished: Finished): void {
    const { changes, staleHosts, isFenced } = finished;
    if (isFenced) this.note("a write is fenced off");
    if (isFenced && changes.length > 0) this.object("a server without the lease writes");
    if (staleHosts.size > 0) this.note("an old session is void");
    for (const change of changes) {
      this.#tellOf(change, finished.replicaId);
      if (change.table === "jobs") this.#reviewJob(change, staleHosts, changes);
      if (change.table === "fleets") this.#reviewFleet(change, finished);
      if (change.table === "hosts" && staleHosts.has(change.key as HostId))
        this.object("an old session changes its host");
    }
  }

  #reviewJob(
    { key, before, after }: RowChange & { readonly table: "jobs" },
    staleHosts: ReadonlySet<HostId>,
    changes: readonly RowChange[],
  ): void {
    if (after === undefined) return;
    const { job } = after;
    if (staleHosts.has(job.hostId)) this.object(`an old session changes the job ${key}`);
    if (before === undefined) this.#reviewDispatch(after);
    else if (!isOpen(before.job.state.name)) this.#reviewLateOutcome(before, after);
    if (job.state.name === before?.job.state.name && job.endedAt !== null) return;
    this.#keepDue(key, before, after, changes);
    if (job.state.name === "succeeded") this.#reviewSuccess(after);
    if (job.state.name === "rolled_back") this.note("a job is rolled back");
    if (job.state.name === "rolled_back" && isQuarantined(this.#db, job.toVersion))
      this.note("a version is quarantined");
    if ("reason" in job.state) this.note(`a job fails: ${job.state.reason}`);
  }

  #reviewDispatch({ job }: JobRow): void {
    const open = [...this.#db.rows("jobs")].filter((row) => row.job.hostId === job.hostId && row.job.endedAt === null);
    if (open.length > 1) this.object(`the host ${job.hostId} has ${open.length} open jobs`);
    if (job.fleetUpdateId === null) return;
    const fleet = this.#db.read("fleets", job.fleetUpdateId);
    if (fleet?.update.state !== "running") this.object(`a dispatch after the fleet update is ${fleet?.update.state}`);
    if (isQuarantined(this.#db, job.toVersion)) this.object("a fleet update sends what is quarantined");
    if (job.toVersion !== fleet?.update.toVersion) this.object(`a dispatch of ${job.toVersion}, which was not frozen`);
  }

  #reviewLateOutcome(before: JobRow, after: JobRow): void {
    const { state } = before.job;
    const isTruer = state.name === "failed" && state.reason === "agent_lost" && after.job.state.name === "rolled_back";
    if (!isTruer) this.object(`a job that is ${state.name} becomes ${after.job.state.name}`);
    if (before.job.endedAt?.getTime() !== after.job.endedAt?.getTime()) this.object("a job ends a second time");
    if (isTruer) this.note("a lost host tells that it rolled back");
  }

  #reviewSuccess({ job }: JobRow): void {
    const host = this.#db.read("hosts", job.hostId);
    if (host?.agentVersion !== job.toVersion) this.object(`success on ${host?.agentVersion}, not ${job.toVersion}`);
    if (!this.#installed.has(`${job.hostId} ${job.toVersion}`)) this.object("success without the version on the host");
  }

  #keepDue(key: string, before: JobRow | undefined, after: JobRow, changes: readonly RowChange[]): void {
    const dueAtMs = this.#dueAtMs.get(key);
    const { job } = after;
    if (job.endedAt !== null) {
      const isRemoval = changes.some(({ table, key: id }) => table === "hosts" && id === job.hostId);
      const isDeadline = job.state.name === "failed" && ["no_progress", "agent_lost"].includes(job.state.reason);
      if (isDeadline && !isRemoval && dueAtMs !== undefined && this.#time.nowMs < dueAtMs - EARLY_MS) {
        this.object(`the job ${key} fails ${dueAtMs - this.#time.nowMs} ms before its deadline`);
      }
      this.#dueAtMs.delete(key);
      this.#overdueMs.delete(key);
    } else if (before?.deadlineMs !== after.deadlineMs) {
      if (before !== undefined && before.lastDeadlineMs !== after.lastDeadlineMs)
        this.note("deadlines move with the clock");
      this.#dueAtMs.set(key, this.#time.nowMs + after.deadlineMs - this.#db.nowMs);
    }
  }

  #reviewFleet({ before, after }: RowChange & { readonly table: "fleets" }, { replicaId }: Finished): void {
    if (after === undefined) return;
    const { update, places } = after;
    const counts = countFleetHosts(places);
    const sum = Object.values(counts).reduce((total, count) => total + count, 0);
    if (before !== undefined && (sum !== before.places.length || places.length !== before.places.length)) {
      this.object(`${sum} hosts are counted of ${before.places.length}`);
    }
    if (counts.updating > update.policy.maxInFlight) this.object(`${counts.updating} hosts update at once`);
    if (before === undefined) return;
    if (before.update.toVersion !== update.toVersion) this.object("the frozen version changes");
    if (update.state !== before.update.state) this.#reviewEnd(before, after);
    const isOfTheLoop = update.state !== "cancelled" || update.state === before.update.state;
    if (isOfTheLoop && !holdsLease(this.#db, replicaId)) this.object(`${replicaId} carries on without the lease`);
    for (const place of places) {
      const former = before.places[place.position];
      if (former === undefined || former === place) continue;
      this.#reviewMove(before, former.state, place.state, place.jobId, update.toVersion);
    }
  }

  #reviewEnd(before: FleetRow, { update, places }: FleetRow): void {
    this.note(`a fleet update is ${update.state}`);
    if (before.update.state !== "running") this.object(`a fleet update that is ${before.update.state} ends again`);
    if (update.state !== "completed") return;
    const left = places.filter(({ state }) => state === "pending" || state === "updating");
    if (left.length > 0) this.object(`a fleet update completes with ${left.length} hosts left`);
  }

  #reviewMove(fleet: FleetRow, from: FleetHostState, to: FleetHostState, jobId: JobId | null, toVersion: string): void {
    if (!MOVES[from].includes(to)) this.object(`a host goes from ${from} to ${to}`);
    if (from === "pending" && fleet.update.state !== "running") this.object(`a host is touched after the end`);
    if (to !== "succeeded") return;
    const job = jobId === null ? undefined : this.#db.read("jobs", jobId)?.job;
    if (job?.state.name !== "succeeded" || job.toVersion !== toVersion)
      this.object("a host succeeds without its version");
  }
}
