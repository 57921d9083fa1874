import { spawn } from "node:child_process";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { resolveAccounts } from "../../../../server/store/embedded/account.ts";
import {
  leftFolders,
  leftProcesses,
  makeScratch,
  type Scratch,
  postmasterPid,
  queryCluster,
  startLogged,
} from "./scratch-cluster.ts";
import { readyLine, refusedLine, startServerProcess, type ServerProcess } from "./server-process.ts";

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

test("a database that outlived its killed server is adopted by the next one, which stops it", async () => {
  await using server = startServerProcess({ dataDir: scratch.dataDir });
  await server.waitFor(readyLine);
  const pid = await postmasterPid(scratch.dataDir);
  expect(pid).toBeTypeOf("number");
  await server.end("SIGKILL");
  expect(await postmasterPid(scratch.dataDir)).toBe(pid);
  {
    await using next = await startLogged(scratch.dataDir);
    expect(next.messages).toEqual(["database adopted: it ran already"]);
    expect(await postmasterPid(scratch.dataDir)).toBe(pid);
  }
  expect(await postmasterPid(scratch.dataDir)).toBeUndefined();
});

test("what was acknowledged is found after server and database were killed in mid-writing, twice", async () => {
  await using scratch = await makeScratch();
  const acked = new Set<number>();
  for (const enough of [200, 500]) {
    await using server = startServerProcess({ dataDir: scratch.dataDir, writers: 4 });
    await server.waitFor((line) => ("acked" in line && line.acked > enough ? true : undefined));
    const pid = await postmasterPid(scratch.dataDir);
    process.kill(Number(pid), "SIGKILL");
    await server.end("SIGKILL");
    for (const id of ackedBy(server)) acked.add(id);
  }
  // Fewer than the last number: a crash skips some of a sequence.
  expect(acked.size).toBeGreaterThan(300);
  await using next = await startLogged(scratch.dataDir);
  expect(await missingFrom(next.cluster.socketDir, acked)).toEqual([]);
});

test("what was acknowledged is found after the database alone was killed, and writing goes on", async () => {
  await using scratch = await makeScratch();
  await using server = startServerProcess({ dataDir: scratch.dataDir, writers: 4 });
  const socketDir = await server.waitFor(readyLine);
  await server.waitFor((line) => ("acked" in line && line.acked > 100 ? true : undefined));
  process.kill(Number(await postmasterPid(scratch.dataDir)), "SIGKILL");
  await server.waitFor((line) => ("log" in line && line.log === "database back" ? true : undefined));
  const before = ackedBy(server).length;
  await server.waitFor(() => (ackedBy(server).length > before + 50 ? true : undefined));
  const acked = new Set(ackedBy(server));
  expect(await missingFrom(socketDir, acked)).toEqual([]);
  expect(await server.end("SIGTERM")).toBe(0);
  expect(await postmasterPid(scratch.dataDir)).toBeUndefined();
});

test("a server that is told to stop ends with its database", async () => {
  await using server = startServerProcess({ dataDir: scratch.dataDir });
  await server.waitFor(readyLine);
  expect(await server.end("SIGTERM")).toBe(0);
  expect(await leftProcesses()).toEqual([]);
});

test("a server that is killed while it makes its cluster leaves no half one", async () => {
  await using scratch = await makeScratch();
  await using server = startServerProcess({ dataDir: scratch.dataDir });
  const home = join(scratch.dataDir, "postgres");
  let names: readonly string[] = [];
  while (!names.some((name) => name.startsWith("data.unfinished-"))) {
    names = await readdir(home).catch(() => []);
    expect(names).not.toContain("data");
  }
  await server.end("SIGKILL");
  await using next = await startLogged(scratch.dataDir);
  expect(next.messages).toEqual(["database started"]);
  expect((await readdir(home)).filter((name) => name.includes("unfinished"))).toEqual([]);
});

test("of servers that start at once on a new data directory one runs and the others are refused", async () => {
  await using scratch = await makeScratch();
  await using one = startServerProcess({ dataDir: scratch.dataDir });
  await using two = startServerProcess({ dataDir: scratch.dataDir });
  await using three = startServerProcess({ dataDir: scratch.dataDir });
  const outcomes = await Promise.all(
    [one, two, three].map((server) =>
      server.waitFor((line) => (readyLine(line) === undefined ? refusedLine(line) && "refused" : "ready")),
    ),
  );
  expect(outcomes.toSorted()).toEqual(["ready", "refused", "refused"]);
});

test("lock files that name a foreign process of the same user do not keep the database from starting", async () => {
  {
    await using first = await startLogged(scratch.dataDir);
    expect(first.messages).toEqual(["database started"]);
  }
  // As after a restart of a container, where a process got the id that the dead postmaster had.
  const { uid } = (await resolveAccounts()).database;
  const bystander = spawn("sleep", ["60"], { uid, cwd: "/", stdio: "ignore" });
  const home = join(scratch.dataDir, "postgres");
  const words = [bystander.pid, join(home, "data"), 1, 5432, join(home, "run"), "", "  1 1", "ready   ", ""].join("\n");
  for (const path of [join(home, "data", "postmaster.pid"), join(home, "run", ".s.PGSQL.5432.lock")]) {
    await writeFile(path, words);
  }
  try {
    await using next = await startLogged(scratch.dataDir);
    expect(next.messages).toEqual(["database started"]);
    expect(bystander.exitCode ?? bystander.signalCode).toBeNull();
  } finally {
    bystander.kill();
  }
});

function ackedBy(server: ServerProcess): readonly number[] {
  return server.lines.flatMap((line) => ("acked" in line ? [line.acked] : []));
}

async function missingFrom(socketDir: string, acked: ReadonlySet<number>): Promise<readonly number[]> {
  const rows = await queryCluster(socketDir, "rollcall_owner", "select id::int as id from acked");
  const found = new Set(rows.map(({ id }) => Number(id)));
  return [...acked].filter((id) => !found.has(id));
}
