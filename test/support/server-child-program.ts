/** The server's process with durations that suit a test. Otherwise as `server/main.ts`. */
import { flushCompileCache } from "node:module";
import { systemClock } from "../../server/clock-system.ts";
import { readConfig } from "../../server/config.ts";
import { DEFAULT_DURATIONS, type Durations } from "../../server/domain/durations.ts";
import { createLog } from "../../server/log.ts";
import type { ListenerLimits } from "../../server/stream/limits.ts";
import { startServer } from "../../server/start.ts";

const config = readConfig([], process.env);
const durations = {
  ...DEFAULT_DURATIONS,
  ...(JSON.parse(process.env["TEST_DURATIONS"] ?? "{}") as Partial<Durations>),
};
const server = await startServer({
  config,
  version: config.version ?? "0.0.0",
  log: createLog(systemClock),
  signal: new AbortController().signal,
  durations,
  limits: JSON.parse(process.env["TEST_LIMITS"] ?? "{}") as Partial<ListenerLimits>,
});
process.stdout.write(`${JSON.stringify({ web: server.web, agents: server.agents })}\n`);
// Stopped in order when it is told to, or may not go on; what it holds keeps the process until then.
const stop = (): void => void server[Symbol.asyncDispose]();
process.once("SIGTERM", stop);
server.lost.addEventListener("abort", stop, { once: true });
// It is killed sooner or later: what it compiled is kept for the next one now, or never.
flushCompileCache();
