/**
 * A process that keeps one database cluster for as long as its standard input stays
 * open, then stops it and deletes its folder. Whoever started it may end in any way,
 * by `kill -9` too: the pipe closes, and nothing is left behind.
 *
 * Prints one JSON line, `{"socketDir": …}`, when the cluster answers.
 */
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startCluster } from "../../server/store/embedded/cluster.ts";
import { removeCluster } from "../../server/store/embedded/remove-cluster.ts";
import { realClock } from "./real-clock.ts";

const stopping = new AbortController();
process.stdin.on("end", () => stopping.abort()).on("error", () => stopping.abort());
process.stdin.resume();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => stopping.abort());

const dataDir = await mkdtemp(join(tmpdir(), "rollcall-test-db-"));
// A server run by root keeps its database inside only when the database's user can pass.
await chmod(dataDir, 0o711);
try {
  await using cluster = await startCluster({
    dataDir,
    clock: realClock,
    log: () => undefined,
    signal: stopping.signal,
    // Test databases are thrown away, and durability has tests of its own.
    settings: { fsync: "off", max_connections: "200" },
  });
  process.stdout.write(`${JSON.stringify({ socketDir: cluster.socketDir })}\n`);
  if (!stopping.signal.aborted) {
    await new Promise<void>((resolve) => stopping.signal.addEventListener("abort", () => resolve(), { once: true }));
  }
} catch (error) {
  if (!stopping.signal.aborted) throw error;
} finally {
  await removeCluster(dataDir, realClock);
  await rm(dataDir, { recursive: true, force: true });
}
