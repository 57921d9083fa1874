import { ensureRoot, explainNoRoot, type RootRecipe } from "../support/cached-root.ts";

/** A small Debian with systemd: the lower layer of every host. */
const DEBIAN: RootRecipe = {
  kind: "debian",
  suite: "bookworm",
  revision: 4,
  packages: ["systemd", "systemd-sysv", "dbus", "iproute2", "ca-certificates", "curl", "openssl", "libfaketime"],
};

/** *Shape*: `undefined` when the folder is there or can be made, else one line that says why not. */
export function explainNoDebianRoot(): Promise<string | undefined> {
  return explainNoRoot(DEBIAN);
}

/** The folder, made if it is not there. *Throws* Error with the output of what failed. */
export function ensureDebianRoot(signal: AbortSignal): Promise<string> {
  return ensureRoot(DEBIAN, signal);
}
