import { chmod, chown, cp, lstat, mkdir, readlink, realpath, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, describe, expect, test, vi } from "vitest";
import { removeCluster } from "../../../../server/store/embedded/remove-cluster.ts";
import { realClock } from "../../../support/real-clock.ts";
import { isRoot, leftFolders, leftProcesses, makeScratch, queryCluster, startLogged } from "./scratch-cluster.ts";
import { readyLine, startServerProcess } from "./server-process.ts";

// Making a cluster syncs 40 MB; a busy disk takes its time.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 });

const NOBODY = 65534;

afterAll(async () => {
  expect(await leftProcesses()).toEqual([]);
  expect(await leftFolders()).toEqual([]);
});

test("a data directory whose path is too long for a socket gets one in a private folder", async () => {
  await using scratch = await makeScratch();
  const deep = join(scratch.dataDir, "a-rather-long-name-for-a-folder".repeat(4));
  await mkdir(deep, { recursive: true });
  let socketDir: string;
  {
    await using running = await startLogged(deep);
    ({ socketDir } = running.cluster);
    expect(socketDir).toMatch(/^\/tmp\/rollcall-/);
    expect((await lstat(socketDir)).mode & 0o777).toBe(0o700);
    expect(await queryCluster(socketDir, "rollcall_app", "select 1 as one")).toEqual([{ one: 1 }]);
  }
  // Kept, unless it is no longer what it was.
  {
    await using again = await startLogged(deep);
    expect(again.cluster.socketDir).toBe(socketDir);
  }
  await chmod(socketDir, 0o755);
  await using wary = await startLogged(deep);
  expect(wary.cluster.socketDir).not.toBe(socketDir);
  await rm(socketDir, { recursive: true });
  await wary.cluster.stop();
  await removeCluster(deep, realClock);
});

describe.runIf(isRoot)("a server run by root", () => {
  test("keeps its database elsewhere when the data directory is out of its user's reach", async () => {
    await using scratch = await makeScratch();
    const dataDir = await makeClosedDataDir(scratch.folder);
    {
      await using running = await startLogged(dataDir);
      const target = await readlink(join(dataDir, "postgres"));
      expect(target).toMatch(/^\/var\/lib\/rollcall-db\/[^/]+$/);
      expect(running.cluster.socketDir).toBe(join(target, "run"));
      await queryCluster(running.cluster.socketDir, "rollcall_owner", "create table kept as select 7 as number");
    }
    await using later = await startLogged(dataDir);
    expect(await queryCluster(later.cluster.socketDir, "rollcall_owner", "select number from kept")).toEqual([
      { number: 7 },
    ]);
  });

  test("refuses a copy of a data directory, follows one that was moved, and misses one that is gone", async () => {
    await using scratch = await makeScratch();
    const dataDir = await makeClosedDataDir(scratch.folder);
    {
      await using first = await startLogged(dataDir);
      await queryCluster(first.cluster.socketDir, "rollcall_owner", "create table kept as select 7 as number");
    }
    const copy = join(scratch.folder, "home", "copy");
    await cp(dataDir, copy, { recursive: true, verbatimSymlinks: true });
    await expect(startLogged(copy)).rejects.toThrow(`${copy} looks like a copy of ${dataDir}`);
    await rm(copy, { recursive: true });

    const moved = join(scratch.folder, "home", "moved");
    await rename(dataDir, moved);
    {
      await using running = await startLogged(moved);
      expect(await queryCluster(running.cluster.socketDir, "rollcall_owner", "select number from kept")).toEqual([
        { number: 7 },
      ]);
    }
    const target = await realpath(join(moved, "postgres"));
    await rm(target, { recursive: true });
    await expect(startLogged(moved)).rejects.toThrow(/is not there. Nothing was changed/);
    await rm(join(moved, "postgres"));
  });
});

describe.runIf(isRoot)("a server run by an ordinary user", () => {
  test("runs its database as itself, below its data directory", async () => {
    await using scratch = await makeScratch();
    const dataDir = join(scratch.folder, "of-nobody");
    await mkdir(dataDir);
    await chown(dataDir, NOBODY, NOBODY);
    await using server = startServerProcess({ dataDir, userId: NOBODY, copyBinariesTo: scratch.folder });
    expect(await server.waitFor(readyLine)).toBe(join(dataDir, "postgres", "run"));
    expect((await lstat(join(dataDir, "postgres", "data"))).uid).toBe(NOBODY);
    expect((await lstat(join(dataDir, "postgres"))).mode & 0o777).toBe(0o700);

    await server.end("SIGKILL");
    await using next = startServerProcess({ dataDir, userId: NOBODY, copyBinariesTo: scratch.folder });
    await next.waitFor(readyLine);
    expect(next.lines).toContainEqual({ log: "database adopted: it ran already" });
    // Root has no business in it.
    await expect(startLogged(dataDir)).rejects.toThrow(/belongs to user id 65534/);
    expect(await next.end("SIGTERM")).toBe(0);
    expect(await leftProcesses()).toEqual([]);
  });
});

/** A data directory below a folder that only root can enter, as any below /root is. */
async function makeClosedDataDir(folder: string): Promise<string> {
  const home = join(folder, "home");
  await mkdir(home, { mode: 0o700 });
  return join(home, "data");
}
