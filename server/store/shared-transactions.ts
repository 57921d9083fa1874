/**
 * Works about different hosts that come at one time share a transaction, and so its
 * statements and its commit. Each of them is written as if it had one to itself, and
 * in effect has:
 *
 * - Two works about one host never run at once.
 * - A work that throws undoes the transaction; it then runs again alone, and those that
 *   did not throw run again together. So a work may run several times, and must do
 *   nothing but ask the transaction.
 * - When the database is away nothing is run again: everybody is told.
 *
 * The first work after a quiet while starts at once; the next ones gather until the
 * transaction before theirs is over, so the slower the database is, the more they share.
 * Once some do share one, the next transaction waits a little for more of them; a host
 * that is alone, whose works follow one another, waits for nobody.
 */
import type { Clock } from "../domain/clock.ts";
import type { HostId } from "../domain/ids.ts";
import { isDatabaseAway } from "./database-away.ts";

/** Runs one transaction: undone when `work` throws, committed otherwise. */
export type RunTransaction<Tx> = <Result>(work: (tx: Tx) => Promise<Result>) => Promise<Result>;

/** Tells when the next transaction may begin. */
export type GatherClock = Pick<Clock, "monotonicMs" | "schedule">;

interface Member<Tx> {
  readonly hostId: HostId;
  readonly work: (tx: Tx) => Promise<unknown>;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** *Units*: milliseconds from the beginning of a transaction that was shared to that of the next. */
const GATHER_MS = 20;
/** One that takes longer than this waits for somebody's lock: the next one waits for it no longer. */
const BLOCKED_MS = 200;
const GREATEST_MEMBERS = 200;
const GREATEST_AT_ONCE = 3;

/** Undoes a transaction of which some members threw. */
class BrokenError extends Error {
  readonly broken: ReadonlySet<unknown>;

  constructor(broken: ReadonlySet<unknown>) {
    super("a part of a shared transaction failed");
    this.name = "BrokenError";
    this.broken = broken;
  }
}

/** See the chapter above. */
export class SharedTransactions<Tx> {
  readonly #runTransaction: RunTransaction<Tx>;
  readonly #clock: GatherClock;
  #waiting: Member<Tx>[] = [];
  readonly #busyHosts = new Set<HostId>();
  #atOnce = 0;
  #wasShared = false;
  #beganAtMs = Number.NEGATIVE_INFINITY;
  #timer: Disposable | undefined;

  constructor(runTransaction: RunTransaction<Tx>, clock: GatherClock) {
    this.#runTransaction = runTransaction;
    this.#clock = clock;
  }

  /** Carries out `work`, which is about one host. *Throws* what it throws. */
  run<Result>(hostId: HostId, work: (tx: Tx) => Promise<Result>): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ hostId, work, resolve: (result) => resolve(result as Result), reject });
      this.#beginSoon();
    });
  }

  #beginSoon(): void {
    if (this.#timer !== undefined || this.#atOnce >= GREATEST_AT_ONCE) return;
    if (!this.#waiting.some(({ hostId }) => !this.#busyHosts.has(hostId))) return;
    const sinceBegunMs = this.#clock.monotonicMs() - this.#beganAtMs;
    const gatherMs = this.#wasShared ? GATHER_MS : 0;
    const intervalMs = this.#atOnce === 0 ? gatherMs : BLOCKED_MS;
    this.#timer = this.#clock.schedule(Math.max(0, intervalMs - sinceBegunMs), () => {
      this.#timer = undefined;
      void this.#begin();
    });
  }

  async #begin(): Promise<void> {
    this.#beganAtMs = this.#clock.monotonicMs();
    const members = this.#takeMembers();
    this.#wasShared = members.length > 1;
    this.#atOnce += 1;
    this.#beginSoon();
    await this.#carryOut(members);
    this.#atOnce -= 1;
    for (const { hostId } of members) this.#busyHosts.delete(hostId);
    // It may be set for a time at which this one would have been blocked.
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#beginSoon();
  }

  /** The oldest ones, one a host. */
  #takeMembers(): readonly Member<Tx>[] {
    const members: Member<Tx>[] = [];
    const left: Member<Tx>[] = [];
    for (const member of this.#waiting) {
      if (members.length >= GREATEST_MEMBERS || this.#busyHosts.has(member.hostId)) {
        left.push(member);
        continue;
      }
      members.push(member);
      this.#busyHosts.add(member.hostId);
    }
    this.#waiting = left;
    return members;
  }

  /** Never throws. */
  async #carryOut(members: readonly Member<Tx>[]): Promise<void> {
    const [only] = members;
    if (only === undefined) return;
    if (members.length === 1) return this.#carryOutAlone(only);
    try {
      const results = await this.#runTransaction((tx) => workTogether(members, tx));
      for (const [index, { resolve }] of members.entries()) resolve(results[index]);
    } catch (error) {
      if (!(error instanceof BrokenError)) {
        for (const { reject } of members) reject(error);
        return;
      }
      const [broken, whole] = [true, false].map((wanted) => members.filter((m) => error.broken.has(m) === wanted));
      await this.#carryOut(whole ?? []);
      await Promise.all((broken ?? []).map((member) => this.#carryOutAlone(member)));
    }
  }

  async #carryOutAlone({ work, resolve, reject }: Member<Tx>): Promise<void> {
    try {
      resolve(await this.#runTransaction(work));
    } catch (error) {
      reject(error);
    }
  }
}

async function workTogether<Tx>(members: readonly Member<Tx>[], tx: Tx): Promise<readonly unknown[]> {
  const outcomes = await Promise.allSettled(members.map(({ work }) => work(tx)));
  const broken = new Set<unknown>();
  const results = outcomes.map((outcome, index) => {
    if (outcome.status === "fulfilled") return outcome.value;
    if (isDatabaseAway(outcome.reason)) throw outcome.reason;
    broken.add(members[index]);
    return undefined;
  });
  if (broken.size > 0) throw new BrokenError(broken);
  return results;
}
