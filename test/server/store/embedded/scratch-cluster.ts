import { chmod, mkdir, mkdtemp, readFile, readdir, realpath, rm } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import { resolveAccounts } from "../../../../server/store/embedded/account.ts";
import { startCluster, type Cluster } from "../../../../server/store/embedded/cluster.ts";
import { ClusterError } from "../../../../server/store/embedded/cluster-error.ts";
import type { ClusterLogLine } from "../../../../server/store/embedded/cluster-log.ts";
import { removeCluster } from "../../../../server/store/embedded/remove-cluster.ts";
import { findPostmaster } from "../../../../server/store/embedded/postmaster.ts";
import { realClock } from "../../../support/real-clock.ts";

/** Marks everything that this test process makes. */
const MARK = `rst-${process.pid}-`;

/** True when the tests run as root. */
export const isRoot = process.getuid?.() === 0;

/** A folder for one test, with the data directories in it. */
export interface Scratch extends AsyncDisposable {
  readonly folder: string;
  /** A data directory that the database's user can reach. */
  readonly dataDir: string;
}

/** Makes a folder in /tmp; disposing deletes it, and the clusters of the data directories up to two levels below it. */
export async function makeScratch(): Promise<Scratch> {
  const folder = await mkdtemp(`/tmp/${MARK}`);
  await chmod(folder, 0o711);
  const dataDir = join(folder, "data");
  await mkdir(dataDir);
  return {
    folder,
    dataDir,
    async [Symbol.asyncDispose]() {
      for (const path of await foldersBelow(folder, 2)) await removeCluster(path, realClock).catch(ignoreRefusal);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Refused are those of other users, broken links and what is no cluster: nothing of theirs runs or lies elsewhere. */
function ignoreRefusal(error: unknown): void {
  if (!(error instanceof ClusterError)) throw error;
}

async function foldersBelow(folder: string, levels: number): Promise<readonly string[]> {
  if (levels === 0) return [];
  const entries = (await readdir(folder, { withFileTypes: true })).filter((entry) => entry.isDirectory());
  const paths = entries.map(({ name }) => join(folder, name)).filter((path) => !path.endsWith("/postgres"));
  return [...paths, ...(await Promise.all(paths.map((path) => foldersBelow(path, levels - 1)))).flat()];
}

/** A cluster in this process, with the messages that it logged. */
export interface LoggedCluster extends AsyncDisposable {
  readonly cluster: Cluster;
  readonly messages: readonly string[];
  /** Resolves when a message was logged, now or before. */
  logged(message: string): Promise<void>;
}

/** Starts the cluster of a data directory in this process. */
export async function startLogged(dataDir: string): Promise<LoggedCluster> {
  const messages: string[] = [];
  const watchers = new Set<() => void>();
  const log = ({ message }: ClusterLogLine) => {
    messages.push(message);
    for (const watcher of watchers) watcher();
  };
  const cluster = await startCluster({ dataDir, clock: realClock, log });
  return {
    cluster,
    messages,
    async logged(message) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const look = () => void (messages.includes(message) && resolve());
      watchers.add(look);
      look();
      await promise.finally(() => watchers.delete(look));
    },
    async [Symbol.asyncDispose]() {
      await cluster.stop();
    },
  };
}

/** Process id of the postmaster of a data directory, or undefined. */
export async function postmasterPid(dataDir: string): Promise<number | undefined> {
  const { database } = await resolveAccounts();
  const dataFolder = join(await realpath(join(dataDir, "postgres")), "data");
  return (await findPostmaster({ dataFolder, account: database }))?.pid;
}

/** Runs one statement on a cluster and gives its rows. */
export async function queryCluster(
  socketDir: string,
  user: string,
  statement: string,
  database = "rollcall",
): Promise<readonly Record<string, unknown>[]> {
  const client = new pg.Client({ host: socketDir, port: 5432, user, database, ssl: false });
  client.on("error", () => undefined);
  try {
    await client.connect();
    return (await client.query<Record<string, unknown>>(statement)).rows;
  } finally {
    await client.end();
  }
}

/** Command lines of processes that this test process's clusters left running. */
export async function leftProcesses(): Promise<readonly string[]> {
  const left: string[] = [];
  for (const pid of await readdir("/proc")) {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue;
    const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (command.includes(MARK)) left.push(command.replaceAll("\0", " "));
  }
  return left;
}

/** Folders that this test process's clusters left behind. */
export async function leftFolders(): Promise<readonly string[]> {
  const places = ["/tmp", "/var/lib/rollcall-db"];
  const names = await Promise.all(places.map((place) => readdir(place).catch(() => [])));
  return names.flat().filter((name) => name.includes(MARK));
}
