/** The version this agent is. */
import { dirname } from "node:path";
import { builtVersion, computeVersion } from "../gen/version.ts";

/** The package that the agent is, in releases, jobs and Hello. */
export const AGENT_PACKAGE = "rollcall-agent";

/** The version injected at build time, or that of the sources this process runs from. */
export function ownVersion(): string {
  return builtVersion() ?? computeVersion(dirname(import.meta.dirname));
}
