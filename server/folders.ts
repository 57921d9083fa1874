/** Where what the server hands out stands beside its own sources. */
import { dirname, join } from "node:path";

const ROOT = dirname(import.meta.dirname);

/** The build of the dashboard. */
export const DASHBOARD_FOLDER = join(ROOT, "dist", "web");

/** Install scripts, units and guard. */
export const AGENT_FOLDER = join(ROOT, "agent");
