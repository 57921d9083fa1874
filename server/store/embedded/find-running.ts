import { resolveAccounts } from "./account.ts";
import { ClusterError } from "./cluster-error.ts";
import { postmasterSite } from "./cluster-site.ts";
import { statusOf } from "./file-status.ts";
import { findCluster } from "./placement.ts";
import { findPostmaster } from "./postmaster.ts";
import { prepareSocketFolder } from "./socket-folder.ts";

/**
 * The socket's folder of the database of a data directory, for a process beside the server that holds it.
 *
 * *Shape*: `undefined` when that database does not run.
 *
 * *Throws* ClusterError when there is none, or it belongs to another user.
 */
export async function findRunningCluster(dataDir: string): Promise<string | undefined> {
  const accounts = await resolveAccounts();
  const home = (await statusOf(dataDir)) === undefined ? undefined : await findCluster(dataDir, accounts);
  if (home === undefined) throw new ClusterError(`There is no database in ${dataDir}. Check ROLLCALL_DATA_DIR.`);
  if ((await findPostmaster(postmasterSite({ home, accounts }))) === undefined) return undefined;
  return await prepareSocketFolder(home, accounts.database);
}
