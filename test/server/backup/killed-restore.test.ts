/** A restore into an embedded database that is killed on its way, and run again. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { backUp } from "../../../server/backup/back-up.ts";
import { prepareDataFolder } from "../../../server/backup/restored-folder.ts";
import { systemRandom } from "../../../server/clock-system.ts";
import { readConfig } from "../../../server/config.ts";
import { removeCluster } from "../../../server/store/embedded/remove-cluster.ts";
import { findOpenSockets } from "../../agent/open-sockets.ts";
import { realClock } from "../../support/real-clock.ts";
import { repositoryRoot } from "../../toolchain/repository-root.ts";
import { createInstallation, type Installation } from "./installation.ts";

const TIMEOUT_MS = 120_000;
let source: Installation;
let backup: string;
beforeAll(async () => {
  source = await createInstallation();
  backup = join(source.folder, "backup");
  await source.backUp({ path: backup, passphrase: undefined });
});
afterAll(async () => {
  await source[Symbol.asyncDispose]();
  expect(await findOpenSockets()).toEqual([]);
});

function startRestore(dataDir: string) {
  const program = join(repositoryRoot, "server", "backup", "main.ts");
  const env = {
    PATH: process.env["PATH"],
    ROLLCALL_DATA_DIR: dataDir,
    ROLLCALL_RELEASES_DIR: join(dataDir, "releases"),
  };
  return spawn(process.execPath, [program, "restore", backup], { env, stdio: "ignore" });
}

/** *Shape*: the process's status, or `null` when a signal ended it. */
async function statusOf(child: ReturnType<typeof startRestore>): Promise<unknown> {
  const [status] = (await once(child, "exit")) as unknown[];
  return status;
}

test(
  "starts no server when it was killed with its database made, and all is there once it ran again",
  async () => {
    const dataDir = join(source.folder, "restored");
    await using parts = new AsyncDisposableStack();
    parts.defer(() => removeCluster(dataDir, realClock));
    const killed = startRestore(dataDir);
    const isThere = () =>
      stat(join(dataDir, "postgres")).then(
        () => true,
        () => false,
      );
    await expect.poll(isThere, { interval: 2 }).toBe(true);
    killed.kill("SIGKILL");
    expect(await statusOf(killed)).toBeNull();
    await expect(prepareDataFolder(dataDir)).rejects.toThrow(/its restore was cut short/);

    expect(await statusOf(startRestore(dataDir))).toBe(0);
    await prepareDataFolder(dataDir);
    // What the second one wrote is a whole installation: a backup of it holds what the first held, and one event more.
    const { rows } = await backUp({
      place: { path: join(source.folder, "again"), passphrase: undefined },
      config: readConfig([], { ROLLCALL_DATA_DIR: dataDir, ROLLCALL_RELEASES_DIR: join(dataDir, "releases") }),
      settings: {},
      version: "1.2.3",
      clock: realClock,
      random: systemRandom,
      signal: new AbortController().signal,
    });
    expect(rows).toBeGreaterThan(1_300);
  },
  TIMEOUT_MS,
);
