/**
 * The embedded PostgreSQL of one data directory, and its supervisor.
 *
 *     startCluster ─ place, copy, initdb ─▶ launch ─▶ claim ─▶ running
 *                                             │         │       │  connection lost
 *                    ClusterError ◀───────────┘         │       ▼
 *                    ClusterInUseError ◀────────────────┘     away ── launch, claim ──▶ running
 *                                                               └── claimed by another ──▶ lost
 *     stop: running │ away ──▶ stopped
 *
 * Invariants:
 *  - One connection of the owner carries the claim of exclusive use (exclusive-use.ts)
 *    and is the supervisor's only sense: it breaks when the postmaster dies, restarts
 *    after a crash or is stopped by somebody else.
 *  - Who holds the claim owns the process, whoever started it: a server that is
 *    refused never stops the database, the holder stops it when it stops.
 *  - A lost claim is final. `lost` aborts, and the server has to end: somebody else
 *    now works on its rows.
 *
 * Called by `main.ts` alone, when no `ROLLCALL_DATABASE_URL` is set. Root starts it
 * with the rights of `rollcall-db` (account.ts); nothing listens on a network.
 */
import { once } from "node:events";
import type { Clock } from "../../domain/clock.ts";
import { resolveAccounts } from "./account.ts";
import { installBinaries, packagedBinaries, type BinariesSource } from "./binaries.ts";
import { boundLog } from "./bounded-log.ts";
import { ClusterInUseError } from "./cluster-error.ts";
import { logFolder } from "./cluster-home.ts";
import type { ClusterLog } from "./cluster-log.ts";
import { postmasterSite, type ClusterSite } from "./cluster-site.ts";
import { APP_ROLE, DATABASE, OWNER_ROLE } from "./configuration.ts";
import { ensureRoles } from "./ensure-roles.ts";
import { claimCluster } from "./exclusive-use.ts";
import { initialiseCluster } from "./initialise.ts";
import { launchCluster } from "./launch.ts";
import type { OwnerConnection } from "./owner-connection.ts";
import { pause } from "./pause.ts";
import { placeCluster } from "./placement.ts";
import { findPostmaster, stopPostmaster } from "./postmaster.ts";
import { makePrivateFolder, prepareSocketFolder } from "./socket-folder.ts";

/** What a cluster needs to start. */
export interface ClusterOptions {
  /** The server's data directory; made when missing. */
  readonly dataDir: string;
  readonly clock: Clock;
  readonly log: ClusterLog;
  /** Ends a start that is under way. */
  readonly signal?: AbortSignal;
  /** Where PostgreSQL's files come from; the npm package when not given. */
  readonly binaries?: BinariesSource;
  /** PostgreSQL settings that replace the usual ones. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** A running database that this process alone may use. Disposing stops it. */
export interface Cluster extends AsyncDisposable {
  /** Host for `pg`: the folder of the only socket. Stays the same over restarts. */
  readonly socketDir: string;
  readonly ownerUser: string;
  readonly appUser: string;
  readonly database: string;
  /** Aborts, with a ClusterInUseError, when another process took the data directory while the database was away. */
  readonly lost: AbortSignal;
  /** Stops the database cleanly and waits until it is gone. May be called again. */
  stop(): Promise<void>;
}

const FIRST_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 5_000;

/**
 * Starts the embedded database of a data directory, or adopts the one that a killed server left running.
 *
 * *Throws* ClusterInUseError when another server uses it, ClusterError when it can't run here; the signal's reason when aborted.
 */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const signal = options.signal ?? new AbortController().signal;
  const site = await prepareSite(options);
  const { connection, isNew } = await launchCluster(site, options.clock, signal);
  const { client } = connection;
  try {
    await claimCluster(client, site.dataDir, options.clock, signal);
    await ensureRoles(client);
  } catch (error) {
    await client.end();
    if (isNew && !(error instanceof ClusterInUseError)) await stopDatabase(site, options.clock);
    throw error;
  }
  options.log({
    level: "info",
    message: isNew ? "database started" : "database adopted: it ran already",
    fields: { folder: site.home.path },
  });
  return new SupervisedCluster(site, connection, options.clock, options.log);
}

async function prepareSite(options: ClusterOptions): Promise<ClusterSite> {
  const accounts = await resolveAccounts();
  const home = await placeCluster(options.dataDir, accounts);
  const binaries = await installBinaries(options.binaries ?? (await packagedBinaries()), home.binariesParent);
  await initialiseCluster(home, binaries, accounts.database);
  await makePrivateFolder(logFolder(home), accounts.database);
  const socketDir = await prepareSocketFolder(home, accounts.database);
  return { dataDir: options.dataDir, home, accounts, binaries, socketDir, settings: options.settings ?? {} };
}

async function stopDatabase(site: ClusterSite, clock: Clock): Promise<void> {
  const postmaster = await findPostmaster(postmasterSite(site));
  if (postmaster !== undefined) await stopPostmaster(postmaster, postmasterSite(site), clock);
}

class SupervisedCluster implements Cluster {
  readonly socketDir: string;
  readonly ownerUser = OWNER_ROLE;
  readonly appUser = APP_ROLE;
  readonly database = DATABASE;
  readonly lost: AbortSignal;

  readonly #site: ClusterSite;
  readonly #clock: Clock;
  readonly #log: ClusterLog;
  readonly #losing = new AbortController();
  readonly #stopping = new AbortController();
  readonly #boundLog: Disposable;
  readonly #supervision: Promise<void>;
  #stopped: Promise<void> | undefined;

  constructor(site: ClusterSite, connection: OwnerConnection, clock: Clock, log: ClusterLog) {
    this.#site = site;
    this.#clock = clock;
    this.#log = log;
    this.socketDir = site.socketDir;
    this.lost = this.#losing.signal;
    this.#boundLog = boundLog(logFolder(site.home), clock);
    this.#supervision = this.#supervise(connection);
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #stop(): Promise<void> {
    this.#stopping.abort();
    this.#boundLog[Symbol.dispose]();
    await this.#supervision;
    if (this.lost.aborted) return;
    // The claim ends with the database: a server that waits for it finds it stopping, or gone.
    await stopDatabase(this.#site, this.#clock);
    this.#log({ level: "info", message: "database stopped", fields: {} });
  }

  async #supervise(first: OwnerConnection): Promise<void> {
    let connection: OwnerConnection | undefined = first;
    while (connection !== undefined) {
      await Promise.race([connection.ended, aborted(this.#stopping.signal)]);
      if (this.#stopping.signal.aborted) return;
      this.#log({ level: "warn", message: "database away", fields: { folder: this.#site.home.path } });
      connection = await this.#bringBack();
      if (connection !== undefined) this.#log({ level: "info", message: "database back", fields: {} });
    }
  }

  /** *Shape*: undefined when the cluster is to stop or was lost. */
  async #bringBack(): Promise<OwnerConnection | undefined> {
    const { signal } = this.#stopping;
    for (let backoffMs = FIRST_BACKOFF_MS; !signal.aborted; backoffMs = Math.min(backoffMs * 2, MAX_BACKOFF_MS)) {
      try {
        return await this.#launchAndClaim(signal);
      } catch (error) {
        if (signal.aborted) break;
        if (error instanceof ClusterInUseError) {
          this.#log({ level: "warn", message: "database lost", fields: { error: error.message } });
          this.#losing.abort(error);
          break;
        }
        this.#log({ level: "warn", message: "database still away", fields: { error: String(error) } });
      }
      await pause(this.#clock, backoffMs, signal).catch(() => undefined);
    }
    return undefined;
  }

  async #launchAndClaim(signal: AbortSignal): Promise<OwnerConnection> {
    const { connection } = await launchCluster(this.#site, this.#clock, signal);
    try {
      await claimCluster(connection.client, this.#site.dataDir, this.#clock, signal);
      return connection;
    } catch (error) {
      await connection.client.end();
      throw error;
    }
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, "abort");
}
