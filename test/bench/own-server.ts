/** A server process of a benchmark's own, on a PostgreSQL of its own. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { startCluster } from "../../server/store/embedded/cluster.ts";
import { removeCluster } from "../../server/store/embedded/remove-cluster.ts";
import { realClock } from "../support/real-clock.ts";
import { ServerChild, type ServerChildOptions } from "../support/server-child.ts";
import { writeTestRelease } from "../support/test-release.ts";
import { buildVersionElf } from "../support/tiny-elf.ts";

/** What is unusual about the server. */
export interface OwnServerOptions extends Pick<ServerChildOptions, "durations" | "limits"> {
  /** The version that its fleet should run. */
  readonly version: string;
  /** Settings of PostgreSQL. */
  readonly settings: Readonly<Record<string, string>>;
  /** For the server's process, beside what it needs anyway. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** A running server, and the owner's way into its database. */
export interface OwnServer extends AsyncDisposable {
  readonly server: ServerChild;
  readonly database: pg.Client;
  readonly databaseUrl: string;
  /** The server's data directory. */
  readonly dataDir: string;
}

const ARTIFACT_BYTES = 64 * 1024;

/** Starts both; disposing ends both and deletes every file. */
export async function startOwnServer(options: OwnServerOptions, signal: AbortSignal): Promise<OwnServer> {
  await using parts = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "rollcall-bench-"));
  parts.defer(() => rm(folder, { recursive: true, force: true }));
  const { version, settings, durations, limits } = options;
  const releasesDir = join(folder, "releases");
  await writeTestRelease(releasesDir, { version, sequence: 2, artifact: buildVersionElf(version, ARTIFACT_BYTES) });
  const clusterDir = join(folder, "cluster");
  const cluster = await startCluster({ dataDir: clusterDir, clock: realClock, log: () => undefined, signal, settings });
  parts.defer(async () => {
    await cluster.stop();
    await removeCluster(clusterDir, realClock);
  });
  const { socketDir, ownerUser, database: name } = cluster;
  const database = new pg.Client({ host: socketDir, user: ownerUser, database: name, ssl: false });
  await database.connect();
  parts.defer(() => database.end());
  const databaseUrl = `postgresql://${ownerUser}@${encodeURIComponent(socketDir)}/${name}`;
  const dataDir = join(folder, "data");
  const server = parts.use(
    new ServerChild({
      dataDir,
      releasesDir,
      version,
      databaseUrl,
      ...(durations === undefined ? {} : { durations }),
      ...(limits === undefined ? {} : { limits }),
    }),
  );
  await server.start(options.environment);
  const running = parts.move();
  return { server, database, databaseUrl, dataDir, [Symbol.asyncDispose]: () => running.disposeAsync() };
}
