import { readFile, readdir, readlink, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { sql } from "kysely";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { isDatabaseAway } from "../../../../server/store/database-away.ts";
import { pruneLog } from "../../../../server/store/embedded/bounded-log.ts";
import { openDatabase } from "../../../../server/store/open-database.ts";
import {
  leftFolders,
  leftProcesses,
  makeScratch,
  type Scratch,
  postmasterPid,
  queryCluster,
  startLogged,
} from "./scratch-cluster.ts";

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

test("a first start makes a cluster, a later one finds its rows, a stop leaves no process", async () => {
  await using scratch = await makeScratch();
  const beganAtMs = performance.now();
  let firstStartMs: number;
  {
    await using first = await startLogged(scratch.dataDir);
    firstStartMs = performance.now() - beganAtMs;
    expect(first.messages).toEqual(["database started"]);
    await queryCluster(first.cluster.socketDir, first.cluster.ownerUser, "create table kept as select 7 as number");
  }
  expect(await postmasterPid(scratch.dataDir)).toBeUndefined();
  expect(await leftProcesses()).toEqual([]);

  const beganAgainAtMs = performance.now();
  await using later = await startLogged(scratch.dataDir);
  expect(performance.now() - beganAgainAtMs).toBeLessThan(firstStartMs);
  expect(await queryCluster(later.cluster.socketDir, later.cluster.ownerUser, "select number from kept")).toEqual([
    { number: 7 },
  ]);
});

test("nothing listens on a network, the kernel vouches for users, and durability is on", async () => {
  await using running = await startLogged(scratch.dataDir);
  const { socketDir, ownerUser } = running.cluster;
  const pid = await postmasterPid(scratch.dataDir);
  const listening = await Promise.all(["tcp", "tcp6"].map((kind) => listeningInodes(`/proc/${pid}/net/${kind}`)));
  const own = await socketInodes(Number(pid));
  expect(own.size).toBeGreaterThan(0);
  expect(listening.flat().filter((inode) => own.has(inode))).toEqual([]);

  const rules = await readFile(join(scratch.dataDir, "postgres", "conf", "pg_hba.conf"), "utf8");
  expect(rules).toBe("local all rollcall_owner,rollcall_app peer map=rollcall\n");
  const active = await queryCluster(socketDir, ownerUser, "select type, auth_method from pg_hba_file_rules");
  expect(active).toEqual([{ type: "local", auth_method: "peer" }]);
  const settings = await queryCluster(
    socketDir,
    ownerUser,
    `select string_agg(name || '=' || setting, ' ' order by name) as all from pg_settings
      where name in ('fsync', 'synchronous_commit', 'full_page_writes', 'listen_addresses', 'unix_socket_permissions')`,
  );
  expect(settings).toEqual([
    { all: "fsync=on full_page_writes=on listen_addresses= synchronous_commit=on unix_socket_permissions=0700" },
  ]);
  expect((await stat(socketDir)).mode & 0o777).toBe(0o700);
});

test("the application's role may not make tables in the server's database, nor enter others", async () => {
  await using running = await startLogged(scratch.dataDir);
  const { socketDir, appUser } = running.cluster;
  expect(await queryCluster(socketDir, appUser, "select current_user::text as me")).toEqual([{ me: "rollcall_app" }]);
  await expect(queryCluster(socketDir, appUser, "create table mine (id int)")).rejects.toThrow(/permission denied/);
  await expect(queryCluster(socketDir, appUser, "create temporary table mine (id int)")).rejects.toThrow(
    /permission denied/,
  );
  await expect(queryCluster(socketDir, appUser, "copy (select 1) to program 'id'")).rejects.toThrow(
    /permission denied/,
  );
  await expect(queryCluster(socketDir, appUser, "select 1", "postgres")).rejects.toThrow(/permission denied/);
});

test("a database that is killed comes back by itself, with the claim of exclusive use", async () => {
  await using running = await startLogged(scratch.dataDir);
  const { socketDir, ownerUser } = running.cluster;
  const firstPid = await postmasterPid(scratch.dataDir);
  process.kill(Number(firstPid), "SIGKILL");
  await running.logged("database back");
  expect(running.messages.slice(0, 3)).toEqual(["database started", "database away", "database back"]);
  expect(await postmasterPid(scratch.dataDir)).not.toBe(firstPid);
  const claims = await queryCluster(
    socketDir,
    ownerUser,
    "select application_name as name from pg_locks join pg_stat_activity using (pid) where locktype = 'advisory'",
  );
  expect(claims).toEqual([{ name: `rollcall-server:${process.pid}` }]);
  expect(running.cluster.lost.aborted).toBe(false);
});

test("a database that loses one process and recovers is used again", async () => {
  await using running = await startLogged(scratch.dataDir);
  const { socketDir, ownerUser } = running.cluster;
  const postmaster = await postmasterPid(scratch.dataDir);
  const [backend] = await queryCluster(
    socketDir,
    ownerUser,
    "select pid from pg_stat_activity where application_name like 'rollcall-server:%'",
  );
  process.kill(Number(backend?.["pid"]), "SIGKILL");
  await running.logged("database back");
  expect(await postmasterPid(scratch.dataDir)).toBe(postmaster);
});

test("stopping twice, or while the database is away, ends without a process", async () => {
  const running = await startLogged(scratch.dataDir);
  process.kill(Number(await postmasterPid(scratch.dataDir)), "SIGKILL");
  await running.logged("database away");
  await Promise.all([running.cluster.stop(), running.cluster.stop()]);
  expect(await leftProcesses()).toEqual([]);
});

test("a database that hangs counts as away and is used again once it goes on", async () => {
  await using running = await startLogged(scratch.dataDir);
  const { socketDir, appUser, database } = running.cluster;
  const db = openDatabase({
    connection: { kind: "socket", socketDir, user: appUser, database },
    applicationName: "hung",
    poolSize: 1,
    statementTimeoutMs: 100,
  });
  await sql`select 1`.execute(db);
  const postmaster = Number(await postmasterPid(scratch.dataDir));
  const children = (await readFile(`/proc/${postmaster}/task/${postmaster}/children`, "utf8"))
    .trim()
    .split(" ")
    .map(Number);
  for (const pid of [postmaster, ...children]) process.kill(pid, "SIGSTOP");
  const failure: unknown = await sql`select 2`.execute(db).catch((error: unknown) => error);
  for (const pid of [postmaster, ...children]) process.kill(pid, "SIGCONT");
  expect(isDatabaseAway(failure)).toBe(true);
  expect((await sql`select 3 as three`.execute(db)).rows).toEqual([{ three: 3 }]);
  expect(running.messages).toEqual(["database started"]);
  await db.destroy();
});

test("the log keeps its newest files", async () => {
  await using scratch = await makeScratch();
  const names = Array.from({ length: 9 }, (_, day) => `postgres-2026010${day + 1}-000000.log`);
  for (const name of [...names, "other.log"]) await writeFile(join(scratch.dataDir, name), "");
  await pruneLog(scratch.dataDir);
  expect((await readdir(scratch.dataDir)).toSorted()).toEqual(["other.log", ...names.slice(-5)]);
});

async function listeningInodes(table: string): Promise<readonly string[]> {
  const LISTEN = "0A";
  const rows = (await readFile(table, "utf8")).trim().split("\n").slice(1);
  return rows
    .map((row) => row.trim().split(/\s+/))
    .filter((fields) => fields[3] === LISTEN)
    .map((fields) => String(fields[9]));
}

async function socketInodes(pid: number): Promise<ReadonlySet<string>> {
  const inodes = new Set<string>();
  for (let fd = 0; fd < 64; fd++) {
    const target = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => "");
    const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
    if (inode !== undefined) inodes.add(inode);
  }
  return inodes;
}
