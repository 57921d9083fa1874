/** What the agent says about the machine it runs on. */
import { hostname } from "node:os";

/** A machine, in the words that releases and the wire use. */
export interface HostFacts {
  /** `linux`, `windows`, or Node's own word. */
  readonly os: string;
  /** `x64`, `arm64`, or Node's own word. */
  readonly arch: string;
  readonly hostname: string;
}

const MAX_HOSTNAME_LENGTH = 253;

/** The facts of this machine; `configuredName` replaces its own name. */
export function readHostFacts(configuredName: string | undefined): HostFacts {
  return {
    os: process.platform === "win32" ? "windows" : process.platform,
    arch: process.arch,
    hostname: configuredName ?? cleanHostname(hostname()),
  };
}

/** Replaces what a hostname may not hold on the wire; an empty one becomes `unnamed`. */
function cleanHostname(name: string): string {
  const cleaned = name.replaceAll(/[^A-Za-z0-9._-]/g, "-").slice(0, MAX_HOSTNAME_LENGTH);
  return cleaned === "" ? "unnamed" : cleaned;
}
