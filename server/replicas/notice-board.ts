/**
 * How replicas tell each other what they stored. A notice is a topic and an id; what
 * is behind the id stands in the database, and whoever hears of it reads that. So a
 * notice may come twice, late or in any order, and losing one is made up for:
 *
 * - whoever could not listen for a while *lapsed*, and reads everything again;
 * - what may not wait that long is looked for at intervals as well (JobCourier).
 *
 * Notices are sent after the transaction that they tell of, many in one statement: a
 * NOTIFY inside of it would make all commits of the database queue for one lock.
 * A replica hears nothing of its own.
 */
import type { Clock } from "../domain/clock.ts";
import type { ReplicaId } from "../domain/ids.ts";
import type { Log, NoticeChannel } from "./ports.ts";

/** What there is to tell. One that a replica does not know, such as of a newer version, it does not hear. */
export type Topic =
  /** Ids of what changed, for who watches the fleet. */
  | "host"
  | "job"
  | "fleet_update"
  | "alert"
  /** Something changed that concerns every host. */
  | "everything"
  /** A host for whose agent there may be something in its job. */
  | "errand"
  /** `<host> <epoch> <instance> <replaced instance>` of a session that took over from one of another replica. */
  | "session"
  /** A host that was removed. */
  | "host_removed"
  /** A host of whose credential a newer generation is in use. */
  | "credential"
  /** A release was taken in. */
  | "release"
  /** Somebody's rights were taken away. */
  | "rights"
  /** A fleet update has work for whoever carries it out. */
  | "fleet_loop"
  /** A key of the login throttle that was tried, and one whose password was right. */
  | "login_tried"
  | "login_succeeded";

/** What the board works with. */
export interface NoticeBoardParts {
  /** `undefined` where no other replica can be: on the embedded database. */
  readonly channel: NoticeChannel | undefined;
  readonly replicaId: ReplicaId;
  readonly clock: Clock;
  readonly log: Log;
}

/** *Units*: milliseconds in which notices gather. */
const GATHER_MS = 10;
/** *Units*: milliseconds until notices that could not be sent are tried again. */
const RETRY_MS = 500;
/** *Units*: characters, all of them ASCII. PostgreSQL takes less than 8,000 bytes. */
const PAYLOAD_LENGTH = 7_000;
/** Beyond this many that could not be sent, others are told to read everything. */
const MOST_UNSENT = 20_000;

/** Too much to tell: others behave as if they had not listened. */
const LAPSED = "lapsed";

export class NoticeBoard implements AsyncDisposable {
  readonly #parts: NoticeBoardParts;
  readonly #listeners = new Map<string, ((ids: readonly string[]) => void)[]>();
  readonly #lapseListeners: (() => void)[] = [];
  #pending = new Map<string, Set<string>>();
  #timer: Disposable | undefined;
  #sending: Promise<void> = Promise.resolve();
  #listening: AsyncDisposable | undefined;
  #isStopped = false;

  constructor(parts: NoticeBoardParts) {
    this.#parts = parts;
  }

  /** True when there may be other replicas. */
  get isShared(): boolean {
    return this.#parts.channel !== undefined;
  }

  /** Listens. Called before anything is read that notices tell of. */
  async start(): Promise<void> {
    let isFirst = true;
    this.#listening = await this.#parts.channel?.listen(
      (payload) => this.#receive(payload),
      () => {
        if (!isFirst) this.#lapse();
        isFirst = false;
      },
    );
  }

  /** Tells every other replica, soon. */
  tell(topic: Topic, id = ""): void {
    if (!this.isShared || this.#isStopped) return;
    this.#add(topic, id);
    this.#schedule(GATHER_MS);
  }

  /** Calls back with the ids that another replica told of. */
  hear(topic: Topic, listener: (ids: readonly string[]) => void): void {
    this.#listeners.set(topic, [...(this.#listeners.get(topic) ?? []), listener]);
  }

  /** Calls back when notices may have been missed. */
  onLapse(listener: () => void): void {
    this.#lapseListeners.push(listener);
  }

  /** Sends what is left, then stops. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true;
    this.#timer?.[Symbol.dispose]();
    await this.#sending;
    await this.#send();
    await this.#listening?.[Symbol.asyncDispose]();
  }

  #add(topic: string, id: string): void {
    const ids = this.#pending.get(topic) ?? new Set();
    this.#pending.set(topic, ids.add(id));
  }

  #schedule(delayMs: number): void {
    if (this.#timer !== undefined || this.#isStopped) return;
    this.#timer = this.#parts.clock.schedule(delayMs, () => {
      this.#sending = this.#sending.then(() => this.#send());
    });
  }

  async #send(): Promise<void> {
    this.#timer = undefined;
    const pending = this.#pending;
    this.#pending = new Map();
    const payloads = [...pending].flatMap(([topic, ids]) => this.#encode(topic, [...ids]));
    if (payloads.length === 0) return;
    try {
      await this.#parts.channel?.publish(payloads);
    } catch (error) {
      this.#parts.log("warn", "telling other servers", { error: String(error) });
      this.#keep(pending);
      this.#schedule(RETRY_MS);
    }
  }

  #keep(unsent: ReadonlyMap<string, ReadonlySet<string>>): void {
    for (const [topic, ids] of unsent) for (const id of ids) this.#add(topic, id);
    const count = [...this.#pending.values()].reduce((sum, ids) => sum + ids.size, 0);
    if (count > MOST_UNSENT) this.#pending = new Map([[LAPSED, new Set([""])]]);
  }

  #encode(topic: string, ids: readonly string[]): readonly string[] {
    const parts: string[][] = [[]];
    let length = 0;
    for (const id of ids) {
      if (length + id.length > PAYLOAD_LENGTH) {
        parts.push([]);
        length = 0;
      }
      parts.at(-1)?.push(id);
      length += id.length + 3;
    }
    return parts.map((part) => JSON.stringify([this.#parts.replicaId, topic, ...part]));
  }

  #receive(payload: string): void {
    const [from, topic, ...ids] = JSON.parse(payload) as string[];
    if (from === this.#parts.replicaId || topic === undefined) return;
    if (topic === LAPSED) this.#lapse();
    else for (const listener of this.#listeners.get(topic) ?? []) listener(ids);
  }

  #lapse(): void {
    this.#parts.log("info", "reading everything again: notices of other servers may have been missed");
    for (const listener of this.#lapseListeners) listener();
  }
}
