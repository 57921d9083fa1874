/**
 * Gets a database to answer: the one that runs already, or else a new process.
 *
 *     look ─┬─ a postmaster runs ──▶ connect ─┬─ answers ──▶ done
 *           │                                 └─ starting, stopping, recovering ──▶ look again
 *           └─ none ──▶ spawn ─┬─ lives ──▶ look again
 *                              └─ died ─┬─ a rival or the remains of a crash ──▶ look again
 *                                       └─ anything else ──▶ ClusterError with its words
 *
 * Never two on one data folder: PostgreSQL's own lock file and shared memory
 * decide; this file only waits them out. Right after a killed postmaster its last
 * backends still hold the shared memory, so a start may fail a few times first.
 */
import type { Clock } from "../../domain/clock.ts";
import { ClusterError } from "./cluster-error.ts";
import { logFolder } from "./cluster-home.ts";
import { postmasterSite, type ClusterSite } from "./cluster-site.ts";
import { connectOwner, type OwnerConnection } from "./owner-connection.ts";
import { pause } from "./pause.ts";
import { findPostmaster } from "./postmaster.ts";
import { spawnPostmaster, type SpawnedPostmaster } from "./spawn-postmaster.ts";

/** A database that answers. */
export interface LaunchedCluster {
  readonly connection: OwnerConnection;
  /** False when the database ran already. */
  readonly isNew: boolean;
}

const LOOK_AGAIN_MS = 40;
/** Recovery after a crash replays at most max_wal_size. */
const LAUNCH_TIMEOUT_MS = 120_000;
const RIVAL_OR_REMAINS = /lock file "[^"]+" already exists|pre-existing shared memory block/;

/**
 * Connects to this cluster's database, started if need be.
 *
 * *Throws* ClusterError when PostgreSQL refuses to start or does not answer in time; the signal's reason when aborted.
 * A process that this call started is stopped then.
 */
export async function launchCluster(site: ClusterSite, clock: Clock, signal: AbortSignal): Promise<LaunchedCluster> {
  const endMs = clock.monotonicMs() + LAUNCH_TIMEOUT_MS;
  let spawned: SpawnedPostmaster | undefined;
  try {
    for (;;) {
      signal.throwIfAborted();
      const postmaster = await findPostmaster(postmasterSite(site));
      if (postmaster?.status === "ready") {
        const connection = await connectOwner(site.socketDir);
        if (connection !== undefined) return { connection, isNew: isRunning(spawned) };
      } else if (postmaster === undefined && !isRunning(spawned)) {
        refuseBadEnd(site, spawned);
        spawned = await spawnPostmaster(site);
      }
      if (clock.monotonicMs() > endMs) throw silent(site);
      await pause(clock, LOOK_AGAIN_MS, signal);
    }
  } catch (error) {
    await spawned?.stop(clock);
    throw error;
  }
}

function isRunning(spawned: SpawnedPostmaster | undefined): boolean {
  return spawned !== undefined && spawned.end() === undefined;
}

/** A process that gave way to a rival, met the remains of a crash or was stopped by its owner is no reason to give up. */
function refuseBadEnd(site: ClusterSite, spawned: SpawnedPostmaster | undefined): void {
  const end = spawned?.end();
  if (end === undefined || end.code === 0 || RIVAL_OR_REMAINS.test(end.words)) return;
  throw new ClusterError(
    `The database in ${site.home.path} did not start. PostgreSQL said: ${end.words || "nothing"}. ` +
      `More may stand in ${logFolder(site.home)}.`,
  );
}

function silent(site: ClusterSite): ClusterError {
  return new ClusterError(
    `The database in ${site.home.path} runs but does not answer on its socket in ${site.socketDir}. ` +
      `See ${logFolder(site.home)}.`,
  );
}
