import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../domain/clock.ts";
import { resolveAccounts } from "./account.ts";
import { postmasterSite } from "./cluster-site.ts";
import { statusOf } from "./file-status.ts";
import { findCluster } from "./placement.ts";
import { findPostmaster, stopPostmaster } from "./postmaster.ts";
import { keptSocketFolder } from "./socket-folder.ts";

/**
 * Deletes the embedded database of a data directory with all its rows, wherever it lies; stops it first if it runs.
 * For directories that were made to be thrown away. Does nothing where there is none.
 */
export async function removeCluster(dataDir: string, clock: Clock): Promise<void> {
  const accounts = await resolveAccounts();
  const home = (await statusOf(dataDir)) === undefined ? undefined : await findCluster(dataDir, accounts);
  if (home === undefined) return;
  const site = postmasterSite({ home, accounts });
  const postmaster = await findPostmaster(site);
  if (postmaster !== undefined) await stopPostmaster(postmaster, site, clock);
  const socketFolder = await keptSocketFolder(home);
  if (socketFolder !== undefined) await rm(socketFolder, { recursive: true, force: true });
  await rm(home.path, { recursive: true, force: true });
  await rm(join(dataDir, "postgres"), { force: true });
}
