import { execFile } from "node:child_process";
import { chmod, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { isRoot, leftFolders, leftProcesses, makeScratch, type Scratch, startLogged } from "./scratch-cluster.ts";

// Making a cluster syncs 40 MB; a busy disk takes its time.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 });

const run = promisify(execFile);
const PROGRAM = fileURLToPath(new URL("./local-user-program.ts", import.meta.url));
const NOBODY = 65534;

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

describe.runIf(isRoot)("another user of the machine", () => {
  test("does not reach the socket; and where its folder were open, is refused by the database", async () => {
    await using running = await startLogged(scratch.dataDir);
    const { socketDir } = running.cluster;
    expect(await tryAs(NOBODY, socketDir)).toBe("EACCES");

    await chmod(socketDir, 0o711);
    await chmod(join(socketDir, ".s.PGSQL.5432"), 0o777);
    const refusedByPeer = "28000";
    expect(await tryAs(NOBODY, socketDir)).toBe(refusedByPeer);
    // The database's own user is no exception: it may not be anybody either.
    expect(await tryAs((await stat(socketDir)).uid, socketDir)).toBe(refusedByPeer);
    // The same program as the server's user gets in, so the refusals above are about who asks.
    expect(await tryAs(0, socketDir)).toBe("let in");
    await chmod(socketDir, 0o700);
  });

  test("owns nothing of the database's configuration when it is the database's user", async () => {
    await using _running = await startLogged(scratch.dataDir);
    const home = join(scratch.dataDir, "postgres");
    for (const path of [
      home,
      join(home, "conf"),
      join(home, "conf", "pg_hba.conf"),
      join(home, "conf", "postgresql.conf"),
    ]) {
      const { uid, mode } = await stat(path);
      expect(uid, path).toBe(0);
      expect(mode & 0o022, path).toBe(0);
    }
    expect((await stat(join(home, "data"))).uid).not.toBe(0);
    expect((await stat(join(home, "data"))).mode & 0o777).toBe(0o700);
  });
});

async function tryAs(userId: number, socketDir: string): Promise<string> {
  const { stdout } = await run(process.execPath, [PROGRAM, String(userId), socketDir], { cwd: "/" });
  return stdout.trim();
}
