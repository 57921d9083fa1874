/**
 * LISTEN and NOTIFY: the way from one replica to the others. LISTEN needs a connection
 * of its own that lives on; it is asked something at intervals, since a connection
 * whose other end vanished is silent like one on which nothing is said. It is not for
 * PgBouncer in transaction mode, which gives each transaction another connection.
 */
import { sql, type Kysely } from "kysely";
import type pg from "pg";
import type { Clock } from "../domain/clock.ts";
import type { NoticeChannel } from "../replicas/ports.ts";
import { openConnection, type DatabaseConnection } from "./open-database.ts";
import type { Db } from "./schema.ts";

const CHANNEL = "rollcall";
/** *Units*: milliseconds. */
const RECONNECT_MS = 500;
const ASK_EVERY_MS = 5_000;
const ANSWER_WITHIN_MS = 5_000;

/** What the channel works with. */
export interface NoticeChannelOptions {
  readonly connection: DatabaseConnection;
  readonly db: Kysely<Db>;
  readonly clock: Clock;
  /** Told why it could not listen for a while. */
  readonly onLost: (error: Error) => void;
}

/** The channel of one database. */
export function createNoticeChannel(options: NoticeChannelOptions): NoticeChannel {
  return {
    publish: async (payloads) => {
      await sql`select pg_notify(${CHANNEL}, payload) from unnest(${payloads}::text[]) as payload`.execute(options.db);
    },
    listen: async (onPayload, onListening) => {
      const listener = new Listener(options, onPayload, onListening);
      await listener.start();
      return listener;
    },
  };
}

class Listener implements AsyncDisposable {
  readonly #options: NoticeChannelOptions;
  readonly #onPayload: (payload: string) => void;
  readonly #onListening: () => void;
  #client: pg.Client | undefined;
  #timer: Disposable | undefined;
  #connecting: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(options: NoticeChannelOptions, onPayload: (payload: string) => void, onListening: () => void) {
    this.#options = options;
    this.#onPayload = onPayload;
    this.#onListening = onListening;
  }

  /** *Throws* the driver's error when it cannot listen. */
  async start(): Promise<void> {
    const client = await openConnection({
      connection: this.#options.connection,
      applicationName: "rollcall notices",
      statementTimeoutMs: ANSWER_WITHIN_MS,
    });
    try {
      client.on("notification", ({ payload }) => this.#onPayload(payload ?? ""));
      await client.query(`listen ${CHANNEL}`);
    } catch (error) {
      await client.end().catch(() => undefined);
      throw error;
    }
    if (this.#isStopped) return client.end();
    this.#client = client;
    client.on("error", (error) => this.#lose(client, error));
    client.on("end", () => this.#lose(client, new Error("the database closed the connection")));
    this.#askLater(client);
    this.#onListening();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true;
    this.#timer?.[Symbol.dispose]();
    await this.#connecting;
    const client = this.#client;
    this.#client = undefined;
    await client?.end().catch(() => undefined);
  }

  #askLater(client: pg.Client): void {
    this.#schedule(ASK_EVERY_MS, async () => {
      try {
        await client.query("select 1");
        if (this.#client === client) this.#askLater(client);
      } catch (error) {
        this.#lose(client, error as Error);
      }
    });
  }

  #lose(client: pg.Client, error: Error): void {
    if (this.#client !== client || this.#isStopped) return;
    this.#client = undefined;
    client.end().catch(() => undefined);
    this.#options.onLost(error);
    this.#reconnectLater();
  }

  #reconnectLater(): void {
    this.#schedule(RECONNECT_MS, async () => {
      try {
        await this.start();
      } catch (error) {
        this.#options.onLost(error as Error);
        this.#reconnectLater();
      }
    });
  }

  #schedule(delayMs: number, work: () => Promise<void>): void {
    if (this.#isStopped) return;
    this.#timer?.[Symbol.dispose]();
    this.#timer = this.#options.clock.schedule(delayMs, () => {
      this.#connecting = work();
    });
  }
}
