/**
 * A small Debian with Wine 10, and with a Windows drive that Wine has set up: the lower
 * layer of every machine of these tests. The Wine of Debian 12 does not start the Node
 * that agents are made of.
 */
import { ensureRoot, runOrThrow, type RootRecipe } from "../support/cached-root.ts";

/** Where the Windows drive lies in the root. */
export const WINE_PREFIX = "/wine";

/** What programs of Wine are run with. Browser and .NET of its own are asked for by nobody here. */
export const WINE_ENVIRONMENT: Readonly<Record<string, string>> = {
  PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
  HOME: "/root",
  WINEPREFIX: WINE_PREFIX,
  WINEDEBUG: "-all",
  WINEDLLOVERRIDES: "mscoree,mshtml=",
};

/** Mounts are those of a namespace that ends with it. */
const COMPLETE = `
set -eu
mount --rbind /dev "$1/dev"
mount -t proc proc "$1/proc"
cp -L /etc/resolv.conf "$1/etc/resolv.conf"
chroot "$1" apt-get install -y --no-install-recommends wine wine64
chroot "$1" wineboot -i
chroot "$1" wineserver -w
`;

const WINE: RootRecipe = {
  kind: "wine",
  suite: "trixie",
  revision: 1,
  packages: [],
  complete: async (root, signal) => {
    const environment = Object.entries({ ...WINE_ENVIRONMENT, DEBIAN_FRONTEND: "noninteractive" });
    const words = ["env", "-i", ...environment.map(([name, value]) => `${name}=${value}`)];
    const enter = ["--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"];
    await runOrThrow("unshare", [...enter, ...words, "sh", "-c", COMPLETE, "wine", root], signal);
  },
};

/** The folder, made if it is not there. *Throws* Error with the output of what failed. */
export function ensureWineRoot(signal: AbortSignal): Promise<string> {
  return ensureRoot(WINE, signal);
}
