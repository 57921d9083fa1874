/**
 * Where the cluster of a data directory lives.
 *
 *  - Server not root: `<data>/postgres`, everything in it.
 *  - Server root, and `rollcall-db` can reach the data directory: the same, with
 *    PostgreSQL's files in `/var/lib/rollcall-db`.
 *  - Server root, data directory out of reach (below a 0700 home, or 0700 itself):
 *    `/var/lib/rollcall-db/<name>`, and `<data>/postgres` is a link to it.
 *
 * The name of a detached cluster is fresh (it ends in random letters), so that no
 * two data directories can arrive at one by themselves. Only the link leads to it,
 * and its `owner` file names the data directory that it belongs to. A copied data
 * directory carries the link along; so on every start the two are compared:
 *
 *  - the owner is this data directory: go on;
 *  - the owner's `postgres` still leads here: this one is a copy. Refused;
 *  - otherwise the data directory was moved: the owner file is written anew;
 *  - the link leads nowhere (a copy on another machine): refused. An empty database
 *    never quietly takes the place of one that was there.
 */
import { execFile } from "node:child_process";
import { chmod, mkdir, mkdtemp, readFile, readlink, realpath, rename, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import type { Account, Accounts } from "./account.ts";
import { ClusterError } from "./cluster-error.ts";
import type { ClusterHome } from "./cluster-home.ts";
import { isSystemError, statusOf, targetStatusOf } from "./file-status.ts";

const run = promisify(execFile);

/** Holds detached clusters and, for a server run by root, PostgreSQL's files. */
const SYSTEM_FOLDER = "/var/lib/rollcall-db";

const MAX_NAME_LENGTH = 32;

/**
 * Finds or makes the folder of the cluster that belongs to `dataDir`.
 *
 * *Throws* ClusterError when the folder is another's, or belongs to another user.
 */
export async function placeCluster(dataDir: string, accounts: Accounts): Promise<ClusterHome> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const root = await realpath(dataDir);
  const existing = await findCluster(root, accounts);
  if (existing !== undefined) return existing;
  const { server, database } = accounts;
  if (server.uid !== database.uid && !(await canEnter(database, root))) return await makeDetached(root, accounts);
  return await makeInside(root, accounts);
}

/**
 * Finds the folder of the cluster that belongs to `dataDir`, or undefined before its first start.
 *
 * *Throws* ClusterError as placeCluster does.
 */
export async function findCluster(dataDir: string, accounts: Accounts): Promise<ClusterHome | undefined> {
  const root = await realpath(dataDir);
  const path = join(root, "postgres");
  const status = await statusOf(path);
  if (status === undefined) return undefined;
  if (status.isSymbolicLink()) return await followLink(root, path, accounts);
  if (!status.isDirectory())
    throw new ClusterError(`${path} should be the folder of the database and is none. Nothing was changed.`);
  if (status.uid !== accounts.server.uid) throw belongsTo(status.uid, path);
  if (accounts.server.uid !== accounts.database.uid && !(await canEnter(accounts.database, root))) {
    throw new ClusterError(
      `The database lies in ${path}, but its user ${accounts.database.name} may not enter ${root}. ` +
        `Nothing was changed. Let it pass (chmod o+x on that folder and those above it).`,
    );
  }
  if (accounts.server.uid === 0) await prepareForRoot(path);
  return homeAt(path, accounts);
}

function homeAt(path: string, { server }: Accounts): ClusterHome {
  return { path, binariesParent: server.uid === 0 ? SYSTEM_FOLDER : path };
}

async function makeInside(dataDir: string, accounts: Accounts): Promise<ClusterHome> {
  const path = join(dataDir, "postgres");
  await mkdir(path, { mode: 0o700 }).catch((error: unknown) => {
    if (!isSystemError(error, "EEXIST")) throw error;
  });
  if (accounts.server.uid === 0) await prepareForRoot(path);
  return homeAt(path, accounts);
}

async function makeDetached(dataDir: string, accounts: Accounts): Promise<ClusterHome> {
  await mkdir(SYSTEM_FOLDER, { recursive: true });
  const readable = dataDir.replaceAll(/[^0-9A-Za-z]+/g, "-").replace(/^-/, "");
  const path = await mkdtemp(join(SYSTEM_FOLDER, `${readable.slice(-MAX_NAME_LENGTH)}-`));
  await writeOwner(path, dataDir);
  try {
    await symlink(path, join(dataDir, "postgres"));
  } catch (error) {
    await rm(path, { recursive: true, force: true });
    if (!isSystemError(error, "EEXIST")) throw error;
    // Another starter was first.
    return await placeCluster(dataDir, accounts);
  }
  await prepareForRoot(path);
  return homeAt(path, accounts);
}

/** `rollcall-db` passes through these folders and can list or change none of them. */
async function prepareForRoot(path: string): Promise<void> {
  await mkdir(SYSTEM_FOLDER, { recursive: true });
  await chmod(SYSTEM_FOLDER, 0o755);
  await chmod(path, 0o711);
}

async function followLink(dataDir: string, link: string, accounts: Accounts): Promise<ClusterHome> {
  const target = await readlink(link);
  if (accounts.server.uid !== 0) {
    throw new ClusterError(
      `${link} leads to ${target}, a database that was made by a server run by root. Start the server as root, or use another ROLLCALL_DATA_DIR.`,
    );
  }
  if (dirname(target) !== SYSTEM_FOLDER) {
    throw new ClusterError(
      `${link} leads to ${target}, which is not a folder of ${SYSTEM_FOLDER}. Nothing was changed.`,
    );
  }
  if ((await statusOf(target)) === undefined) {
    throw new ClusterError(
      `The database of ${dataDir} should be in ${target} and is not there. Nothing was changed. ` +
        `Put it back from a backup; or, to begin with an empty database, remove ${link}.`,
    );
  }
  await checkOwner(dataDir, target);
  await prepareForRoot(target);
  return homeAt(target, accounts);
}

async function checkOwner(dataDir: string, target: string): Promise<void> {
  const owner = await readOwner(target);
  if (owner === dataDir) return;
  const rival = join(owner, "postgres");
  const rivalStatus = await statusOf(rival);
  const isCopy = rivalStatus?.isSymbolicLink() === true && (await readlink(rival)) === target;
  if (isCopy && !(await isSameFolder(owner, dataDir))) {
    throw new ClusterError(
      `${dataDir} looks like a copy of ${owner}: both lead to the database in ${target}. Nothing was changed. ` +
        `To begin with an empty database here, remove ${join(dataDir, "postgres")}.`,
    );
  }
  await writeOwner(target, dataDir);
}

async function isSameFolder(first: string, second: string): Promise<boolean> {
  const [one, other] = await Promise.all([targetStatusOf(first), targetStatusOf(second)]);
  return one !== undefined && one.dev === other?.dev && one.ino === other.ino;
}

function ownerFile(path: string): string {
  return join(path, "owner");
}

async function readOwner(path: string): Promise<string> {
  try {
    return (await readFile(ownerFile(path), "utf8")).trim();
  } catch (error) {
    throw new ClusterError(
      `${ownerFile(path)} should name the data directory of this database and cannot be read. Nothing was changed. ` +
        "Write the path of the data directory into it.",
      error,
    );
  }
}

async function writeOwner(path: string, dataDir: string): Promise<void> {
  const fresh = `${ownerFile(path)}.${process.pid}`;
  await writeFile(fresh, `${dataDir}\n`, { mode: 0o600 });
  await rename(fresh, ownerFile(path));
}

/** Asks the kernel as that user: modes alone would miss access lists and mount options. */
async function canEnter(account: Account, folder: string): Promise<boolean> {
  const asked = run("test", ["-x", folder], { uid: account.uid, gid: account.gid, cwd: "/" });
  return await asked.then(
    () => true,
    () => false,
  );
}

function belongsTo(uid: number, path: string): ClusterError {
  return new ClusterError(
    `The database in ${path} belongs to user id ${uid}, not to the user of this server. Nothing was changed. ` +
      "Start the server as that user, or use another ROLLCALL_DATA_DIR.",
  );
}
