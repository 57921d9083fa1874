import type { Accounts } from "./account.ts";
import type { Binaries } from "./binaries.ts";
import { dataFolder, type ClusterHome } from "./cluster-home.ts";
import type { PostmasterSite } from "./postmaster.ts";

/** All that is known about a cluster before it runs, settled once a start. */
export interface ClusterSite {
  /** As the operator named it; for messages. */
  readonly dataDir: string;
  readonly home: ClusterHome;
  readonly accounts: Accounts;
  readonly binaries: Binaries;
  readonly socketDir: string;
  /** PostgreSQL settings that replace the usual ones. */
  readonly settings: Readonly<Record<string, string>>;
}

/** Where this cluster's postmaster is looked for. */
export function postmasterSite(site: Pick<ClusterSite, "home" | "accounts">): PostmasterSite {
  return { dataFolder: dataFolder(site.home), account: site.accounts.database };
}
