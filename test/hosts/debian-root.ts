import { ensureRoot, type RootRecipe } from "../support/cached-root.ts";

/** A small Debian with systemd: the lower layer of every host. */
const DEBIAN: RootRecipe = {
  kind: "debian",
  suite: "bookworm",
  revision: 2,
  packages: ["systemd", "systemd-sysv", "dbus", "iproute2", "ca-certificates", "curl", "openssl"],
};

/** The folder, made if it is not there. *Throws* Error with the output of what failed. */
export function ensureDebianRoot(signal: AbortSignal): Promise<string> {
  return ensureRoot(DEBIAN, signal);
}
