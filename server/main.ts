/** The server's process: settings, start, ready line, signals, stop. */
import { dirname } from "node:path";
import { builtVersion, computeVersion } from "../gen/version.ts";
import { systemClock } from "./clock-system.ts";
import { ConfigError, readConfig } from "./config.ts";
import { createLog } from "./log.ts";
import { startServer } from "./start.ts";

const log = createLog(systemClock);
const stopping = new AbortController();
for (const name of ["SIGTERM", "SIGINT"] as const) process.on(name, () => stopping.abort());
// A broken invariant ends the process; the service manager starts a new one, and nothing acknowledged is lost.
process.on("uncaughtException", (error) => die("uncaught failure", error));
process.on("unhandledRejection", (error) => die("unhandled failure", error));

try {
  const config = readConfig(process.argv.slice(2), process.env);
  const version = config.version ?? builtVersion() ?? computeVersion(dirname(import.meta.dirname));
  const terminal = process.stderr.isTTY ? (text: string) => void process.stderr.write(text) : undefined;
  await using server = await startServer({ config, version, log, signal: stopping.signal, terminal });
  process.stdout.write(`${JSON.stringify({ event: "ready", version, web: server.web, agents: server.agents })}\n`);
  await ended(AbortSignal.any([stopping.signal, server.lost]));
  if (server.lost.aborted) {
    process.exitCode = 1;
    log("error", "stopping: this server may not go on", { error: String(server.lost.reason) });
  } else {
    log("info", "stopping");
  }
} catch (error) {
  if (!stopping.signal.aborted) {
    process.exitCode = error instanceof ConfigError ? 2 : 1;
    process.stderr.write(`rollcall: ${error instanceof Error ? error.message : String(error)}\n`);
  }
}

async function ended(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

function die(event: string, error: unknown): never {
  log("error", event, { error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  process.exit(70);
}
