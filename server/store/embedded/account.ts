/**
 * Which users of the operating system take part.
 *
 * PostgreSQL refuses to run as root and `initdb` refuses a user without a name.
 * So a server started by root runs its database as `rollcall-db`, a system user
 * of its own that owns nothing else: not `postgres`, whose files belong to the
 * distribution's databases, and not `nobody`, which every other program may
 * borrow. The account is made once and stays. Any other user runs the database
 * as itself.
 */
import { execFile } from "node:child_process";
import { userInfo } from "node:os";
import { promisify } from "node:util";
import { ClusterError } from "./cluster-error.ts";

const run = promisify(execFile);

/** A named user of the operating system. */
export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** Who runs the server and who runs its database; the same one unless the server is root. */
export interface Accounts {
  readonly server: Account;
  readonly database: Account;
}

const DATABASE_USER = "rollcall-db";
const MAKE_USER = ["--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", DATABASE_USER];

/**
 * Finds both users; as root, makes the database's when it is missing.
 *
 * *Throws* ClusterError when this user has no name or the account cannot be made.
 */
export async function resolveAccounts(): Promise<Accounts> {
  const server = serverAccount();
  if (server.uid !== 0) return { server, database: server };
  const known = await lookUp(DATABASE_USER);
  return { server, database: known ?? (await makeDatabaseAccount()) };
}

function serverAccount(): Account {
  try {
    const { username, uid, gid } = userInfo();
    return { name: username, uid, gid };
  } catch (error) {
    throw new ClusterError(
      `This process runs as user id ${process.geteuid?.()}, which has no name on this machine, and PostgreSQL needs one. ` +
        "Start the server as a named user, or set ROLLCALL_DATABASE_URL to use a database of your own.",
      error,
    );
  }
}

async function lookUp(name: string): Promise<Account | undefined> {
  const answer = await run("getent", ["passwd", name]).catch(() => undefined);
  const [user, , uid, gid] = answer?.stdout.trim().split(":") ?? [];
  if (user !== name || uid === undefined || gid === undefined) return undefined;
  return { name, uid: Number(uid), gid: Number(gid) };
}

async function makeDatabaseAccount(): Promise<Account> {
  const failure = await run("useradd", MAKE_USER).then(
    () => undefined,
    (error: unknown) => error,
  );
  // Another server may have made it in the same moment: the account decides, not useradd's exit code.
  const made = await lookUp(DATABASE_USER);
  if (made !== undefined) return made;
  throw new ClusterError(
    `The embedded database needs a system user named ${DATABASE_USER} and making it failed. ` +
      `Run this once as root, then start the server again: useradd ${MAKE_USER.join(" ")}`,
    failure,
  );
}
