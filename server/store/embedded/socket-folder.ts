/**
 * The folder of the database's socket: 0700 and owned by the database's user, so
 * that nobody else even reaches the socket.
 *
 * The kernel takes at most 107 bytes of path for a socket. A data directory with a
 * longer one gets a fresh folder in /tmp, whose name is kept in `socket-dir`. Names
 * in /tmp can be taken by others once the folder was swept away, so one that was
 * kept is used only while it is a folder of that user with exactly that mode.
 */
import { chown, mkdtemp, readFile, rename, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Account } from "./account.ts";
import { ClusterError } from "./cluster-error.ts";
import { runFolder, type ClusterHome } from "./cluster-home.ts";
import { SOCKET_PORT } from "./configuration.ts";
import { isSystemError, statusOf } from "./file-status.ts";

const MAX_SOCKET_PATH_BYTES = 107;

/** Finds or makes the socket's folder of this cluster. */
export async function prepareSocketFolder(home: ClusterHome, owner: Account): Promise<string> {
  const usual = runFolder(home);
  if (Buffer.byteLength(join(usual, `.s.PGSQL.${SOCKET_PORT}`)) <= MAX_SOCKET_PATH_BYTES) {
    await makePrivateFolder(usual, owner);
    return usual;
  }
  const kept = await keptSocketFolder(home);
  if (kept !== undefined && (await isPrivateFolder(kept, owner))) return kept;
  const fresh = await mkdtemp("/tmp/rollcall-");
  await chown(fresh, owner.uid, owner.gid);
  await requirePrivateFolder(fresh, owner);
  const record = join(home.path, `socket-dir.${process.pid}`);
  await writeFile(record, `${fresh}\n`, { mode: 0o600 });
  await rename(record, join(home.path, "socket-dir"));
  return fresh;
}

/** The folder in /tmp that this cluster was given, if its own path is too long; it may be gone. */
export async function keptSocketFolder(home: ClusterHome): Promise<string | undefined> {
  try {
    const path = (await readFile(join(home.path, "socket-dir"), "utf8")).trim();
    return path.startsWith("/tmp/rollcall-") ? path : undefined;
  } catch (error) {
    if (isSystemError(error, "ENOENT")) return undefined;
    throw error;
  }
}

/**
 * Makes a folder that only `owner` may enter; one that is there already must be just that.
 * It gets its name once it has its owner, so that no other starter ever sees it half made.
 */
export async function makePrivateFolder(path: string, owner: Account): Promise<void> {
  if ((await statusOf(path)) === undefined) {
    const fresh = await mkdtemp(`${path}.`);
    await chown(fresh, owner.uid, owner.gid);
    await rename(fresh, path).catch(async (error: unknown) => {
      await rmdir(fresh);
      if (!isSystemError(error, "ENOTEMPTY", "EEXIST")) throw error;
    });
  }
  await requirePrivateFolder(path, owner);
}

async function requirePrivateFolder(path: string, owner: Account): Promise<void> {
  if (await isPrivateFolder(path, owner)) return;
  throw new ClusterError(
    `${path} must be a folder that belongs to ${owner.name} with mode 0700, and is not. Nothing was started. ` +
      "Remove it or mend its owner and mode.",
  );
}

async function isPrivateFolder(path: string, owner: Account): Promise<boolean> {
  const status = await statusOf(path);
  return status?.isDirectory() === true && status.uid === owner.uid && (status.mode & 0o777) === 0o700;
}
