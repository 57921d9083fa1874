/** A PostgreSQL of one test's own, which it may stop: the run's own is everybody's. */
import { mkdtemp, rm, chmod } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "kysely";
import { startCluster } from "../../server/store/embedded/cluster.ts";
import { removeCluster } from "../../server/store/embedded/remove-cluster.ts";
import { migrate } from "../../server/store/migrate.ts";
import { migrations } from "../../server/store/migrations/all.ts";
import { openDatabase } from "../../server/store/open-database.ts";
import type { FleetDatabase } from "./child-fleet.ts";
import { realClock } from "./real-clock.ts";

/** A database whose server may be stopped. */
export interface OwnDatabase extends FleetDatabase {
  /** Stops PostgreSQL as its service manager would; it is started again at once. */
  restart(): Promise<void>;
}

/** Starts a migrated one. Disposing stops it and deletes its files. */
export async function startOwnDatabase(): Promise<OwnDatabase> {
  await using parts = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "rollcall-own-database-"));
  // Its user has to pass.
  await chmod(folder, 0o711);
  parts.defer(() => rm(folder, { recursive: true, force: true }));
  const dataDir = join(folder, "data");
  const settings = { fsync: "off" };
  const cluster = await startCluster({ dataDir, clock: realClock, log: () => undefined, settings });
  parts.defer(() => removeCluster(dataDir, realClock));
  parts.defer(() => cluster.stop());
  const { socketDir, ownerUser, database } = cluster;
  const connection = { kind: "socket", socketDir, database, user: ownerUser } as const;
  const onConnectionLost = (): void => undefined;
  const db = openDatabase({ connection, applicationName: "test", poolSize: 4, onConnectionLost });
  parts.defer(() => db.destroy());
  await migrate(db, migrations);
  const running = parts.move();
  return {
    db,
    ownerDb: db,
    url: `postgresql://${ownerUser}@${encodeURIComponent(socketDir)}/${database}`,
    async restart() {
      const { rows } = await sql<{ pid: string }>`
        select split_part(pg_read_file('postmaster.pid'), E'\n', 1) as pid
      `.execute(db);
      process.kill(Number(rows[0]?.pid), "SIGINT");
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}
