/**
 * Makes the data folder of a cluster. `initdb` works in a folder beside it, which
 * gets its real name only when it is whole: a killed one leaves no half cluster,
 * and of two starters the slower drops its own.
 */
import { execFile } from "node:child_process";
import { chown, open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Account } from "./account.ts";
import type { Binaries } from "./binaries.ts";
import { ClusterError } from "./cluster-error.ts";
import { dataFolder, type ClusterHome } from "./cluster-home.ts";
import { OWNER_ROLE } from "./configuration.ts";
import { DATABASE_ENVIRONMENT } from "./database-environment.ts";
import { isSystemError, statusOf } from "./file-status.ts";
import { makeUnfinished } from "./unfinished-folder.ts";

const run = promisify(execFile);

/**
 * Makes the data folder unless it is there.
 *
 * *Throws* ClusterError when `initdb` fails, or when the folder belongs to another major version.
 */
export async function initialiseCluster(home: ClusterHome, binaries: Binaries, owner: Account): Promise<void> {
  if ((await statusOf(dataFolder(home))) === undefined) await makeDataFolder(home, binaries, owner);
  const version = (await readFile(join(dataFolder(home), "PG_VERSION"), "utf8")).trim();
  if (version === binaries.major) return;
  throw new ClusterError(
    `The database in ${home.path} was made by PostgreSQL ${version}, and this server brings ${binaries.major}. ` +
      "Nothing was changed. Take a backup with the server version that made it, and restore it with this one.",
  );
}

async function makeDataFolder(home: ClusterHome, binaries: Binaries, owner: Account): Promise<void> {
  const unfinished = await makeUnfinished(dataFolder(home));
  try {
    await chown(unfinished, owner.uid, owner.gid);
    await runInitdb(unfinished, binaries, owner);
    await rename(unfinished, dataFolder(home));
    await syncFolder(home.path);
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    if (!isSystemError(error, "ENOTEMPTY", "EEXIST")) throw error;
  }
}

async function runInitdb(folder: string, binaries: Binaries, owner: Account): Promise<void> {
  const arguments_ = ["-D", folder, "-U", OWNER_ROLE, "-A", "peer", "-E", "UTF8", "--locale=C"];
  try {
    await run(binaries.initdb, arguments_, { cwd: "/", env: DATABASE_ENVIRONMENT, uid: owner.uid, gid: owner.gid });
  } catch (error) {
    const said = error instanceof Error && "stderr" in error ? String(error.stderr).trim() : String(error);
    throw new ClusterError(`Making the database in ${folder} failed and was undone. initdb said: ${said}`, error);
  }
}

async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, "r");
  await folder.sync();
}
