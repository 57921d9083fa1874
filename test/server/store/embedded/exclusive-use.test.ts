import pg from "pg";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import {
  leftFolders,
  leftProcesses,
  makeScratch,
  type Scratch,
  postmasterPid,
  queryCluster,
  startLogged,
} from "./scratch-cluster.ts";
import { readyLine, refusedLine, startServerProcess } from "./server-process.ts";

// Making a cluster syncs 40 MB; a busy disk takes its time.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 });

/** Shared by the tests that only start and stop its cluster. */
let scratch: Scratch;

beforeAll(async () => {
  scratch = await makeScratch();
});

afterAll(async () => {
  await scratch[Symbol.asyncDispose]();
  expect(await leftProcesses()).toEqual([]);
  expect(await leftFolders()).toEqual([]);
});

test("a second server on the same data directory is refused in words and harms nothing", async () => {
  await using running = await startLogged(scratch.dataDir);
  const pid = await postmasterPid(scratch.dataDir);
  await using second = startServerProcess({ dataDir: scratch.dataDir });
  expect(await second.waitFor(refusedLine)).toBe(
    `The data directory ${scratch.dataDir} is in use by another Rollcall server (process ${process.pid}). Nothing was changed. ` +
      "Stop that server first, or start this one with another ROLLCALL_DATA_DIR.",
  );
  expect(await second.ended).toBe(3);
  expect(await postmasterPid(scratch.dataDir)).toBe(pid);
  expect(await queryCluster(running.cluster.socketDir, "rollcall_app", "select 1 as one")).toEqual([{ one: 1 }]);
  expect(running.messages).toEqual(["database started"]);
});

test("the claim ends with the process that held it", async () => {
  await using first = startServerProcess({ dataDir: scratch.dataDir });
  await first.waitFor(readyLine);
  await using refused = startServerProcess({ dataDir: scratch.dataDir });
  await refused.waitFor(refusedLine);
  await first.end("SIGKILL");
  await using next = startServerProcess({ dataDir: scratch.dataDir });
  await next.waitFor(readyLine);
});

test("a server whose claim was taken while its database was away says so and leaves the database alone", async () => {
  await using running = await startLogged(scratch.dataDir);
  const { socketDir, ownerUser, lost } = running.cluster;
  await using taker = await takeClaim(socketDir);
  const name = `rollcall-server:${process.pid}`;
  await queryCluster(
    socketDir,
    ownerUser,
    `select pg_terminate_backend(pid) from pg_stat_activity where application_name = '${name}'`,
  );
  await taker.claimed;
  await running.logged("database lost");
  expect(lost.aborted).toBe(true);
  expect(String(lost.reason)).toMatch(/in use by another Rollcall server/);
  const pid = await postmasterPid(scratch.dataDir);
  await running.cluster.stop();
  expect(await postmasterPid(scratch.dataDir)).toBe(pid);
});

/** A rival that waits for the claim and keeps it. */
async function takeClaim(socketDir: string): Promise<AsyncDisposable & { readonly claimed: Promise<unknown> }> {
  const rival = new pg.Client({
    host: socketDir,
    port: 5432,
    user: "rollcall_owner",
    database: "postgres",
    ssl: false,
  });
  await rival.connect();
  const claimed = rival.query("select pg_advisory_lock(1919904876, 1)");
  return {
    claimed,
    async [Symbol.asyncDispose]() {
      await rival.end();
    },
  };
}
