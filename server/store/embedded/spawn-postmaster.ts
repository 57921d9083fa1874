import { spawn } from "node:child_process";
import { open, rm, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../domain/clock.ts";
import { dataFolder } from "./cluster-home.ts";
import { postmasterSite, type ClusterSite } from "./cluster-site.ts";
import { SOCKET_PORT } from "./configuration.ts";
import { DATABASE_ENVIRONMENT } from "./database-environment.ts";
import { setAsideStaleLocks } from "./postmaster.ts";
import { writeConfiguration } from "./write-configuration.ts";

/** How a postmaster ended. */
export interface PostmasterEnd {
  /** Null when a signal ended it or it could not be started at all. */
  readonly code: number | null;
  /** What it printed before its log was open. */
  readonly words: string;
}

/** A postmaster that this process started. */
export interface SpawnedPostmaster {
  /** Undefined while it runs. */
  end(): PostmasterEnd | undefined;
  /** Stops it, also before it wrote its `postmaster.pid`. */
  stop(clock: Clock): Promise<void>;
}

const STOP_MS = 10_000;
const MAX_WORDS_BYTES = 4_096;

/**
 * Starts a postmaster on a cluster that seems to have none. In a session of its own:
 * neither Ctrl-C in a terminal nor the death of this process takes it along.
 */
export async function spawnPostmaster(site: ClusterSite): Promise<SpawnedPostmaster> {
  const { home, accounts, binaries, socketDir } = site;
  await setAsideStaleLocks(postmasterSite(site), join(socketDir, `.s.PGSQL.${SOCKET_PORT}.lock`));
  const configFile = await writeConfiguration(home, socketDir, accounts.server, site.settings);
  const output = await openNameless(join(home.path, `start.${process.pid}`));
  const child = spawn(binaries.postgres, ["-D", dataFolder(home), "-c", `config_file=${configFile}`], {
    cwd: "/",
    env: DATABASE_ENVIRONMENT,
    uid: accounts.database.uid,
    gid: accounts.database.gid,
    detached: true,
    stdio: ["ignore", output.fd, output.fd],
  });
  child.unref();
  let end: PostmasterEnd | undefined;
  const ended = new Promise<number | null | Error>((resolve) =>
    child.once("exit", resolve).once("error", resolve),
  ).then(async (how) => {
    const words = await readWords(output).catch(String);
    end = how instanceof Error ? { code: null, words: String(how) } : { code: how, words };
  });
  return {
    end: () => end,
    async stop(clock) {
      child.kill("SIGINT");
      using _giveUp = clock.schedule(STOP_MS, () => child.kill("SIGKILL"));
      await ended;
    },
  };
}

/** A pipe would break with this process, and two starters that share a file would read each other's words. */
async function openNameless(path: string): Promise<FileHandle> {
  await rm(path, { force: true });
  const file = await open(path, "wx+", 0o600);
  await rm(path);
  return file;
}

async function readWords(file: FileHandle): Promise<string> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_WORDS_BYTES), 0, MAX_WORDS_BYTES, 0);
  await file.close();
  return buffer.toString("utf8", 0, bytesRead).trim();
}
