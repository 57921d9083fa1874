/**
 * A server that is nothing but its database, as a process of its own, to be killed
 * in every way. Takes one JSON argument (ServerOrder) and prints JSON lines. Ends
 * cleanly on SIGTERM and when its standard input closes.
 */
import { writeSync } from "node:fs";
import pg from "pg";
import { packagedBinaries, installBinaries } from "../../../../server/store/embedded/binaries.ts";
import { startCluster, type Cluster } from "../../../../server/store/embedded/cluster.ts";
import { ClusterError } from "../../../../server/store/embedded/cluster-error.ts";
import { realClock } from "../../../support/real-clock.ts";
import type { ServerLine, ServerOrder } from "./server-process.ts";

const order = JSON.parse(process.argv[2] ?? "") as ServerOrder;
const print = (line: ServerLine) => writeSync(1, `${JSON.stringify(line)}\n`);

const stopping = new AbortController();
process.on("SIGTERM", () => stopping.abort());
process.stdin.on("end", () => stopping.abort()).resume();

// Copied while still root: the packages may lie where nobody else can read.
const packaged = await packagedBinaries();
if (order.copyBinariesTo !== undefined) await installBinaries(packaged, order.copyBinariesTo);
const binaries =
  order.copyBinariesTo === undefined
    ? packaged
    : { folder: `${order.copyBinariesTo}/bin-${packaged.version}`, version: packaged.version };
if (order.userId !== undefined) becomeUser(order.userId);

try {
  await using cluster = await startCluster({
    dataDir: order.dataDir,
    clock: realClock,
    log: ({ message }) => print({ log: message }),
    signal: stopping.signal,
    binaries,
  });
  cluster.lost.addEventListener("abort", () => print({ log: "lost" }));
  print({ socketDir: cluster.socketDir });
  if (order.writers > 0) await write(cluster, order.writers);
  if (!stopping.signal.aborted) {
    await new Promise<void>((resolve) => stopping.signal.addEventListener("abort", () => resolve(), { once: true }));
  }
} catch (error) {
  if (!(error instanceof ClusterError)) throw error;
  print({ refused: error.message });
  process.exitCode = 3;
}
process.stdin.destroy();

function becomeUser(userId: number): void {
  process.setgroups?.([]);
  process.setgid?.(userId);
  process.setuid?.(userId);
}

/** Inserts one row after another on each connection and prints each once the database acknowledged it. */
async function write(cluster: Cluster, writers: number): Promise<void> {
  const pool = new pg.Pool({
    host: cluster.socketDir,
    user: cluster.ownerUser,
    database: cluster.database,
    max: writers,
  });
  pool.on("error", () => undefined).on("connect", (client) => client.on("error", () => undefined));
  await pool.query("create table if not exists acked (id bigint generated always as identity primary key)");
  const writeOn = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const id = await pool.query<{ id: string }>("insert into acked default values returning id").then(
        ({ rows }) => rows[0]?.id,
        () => undefined,
      );
      if (id !== undefined) print({ acked: Number(id) });
      else await new Promise<void>((resolve) => realClock.schedule(20, resolve));
    }
  };
  await Promise.all(Array.from({ length: writers }, writeOn));
  await pool.end();
}
