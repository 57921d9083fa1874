import { chmod, mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Account } from "./account.ts";
import { configurationFolder, logFolder, type ClusterHome } from "./cluster-home.ts";
import { accessRules, serverSettings, userMap } from "./configuration.ts";

/**
 * Writes the three configuration files of a cluster, each replaced as a whole.
 *
 * *Shape*: the path of `postgresql.conf`.
 */
export async function writeConfiguration(
  home: ClusterHome,
  socketDir: string,
  server: Account,
  settings: Readonly<Record<string, string>>,
): Promise<string> {
  const folder = configurationFolder(home);
  await mkdir(folder, { recursive: true });
  await chmod(folder, 0o755);
  const configFile = join(folder, "postgresql.conf");
  const hbaFile = join(folder, "pg_hba.conf");
  const identFile = join(folder, "pg_ident.conf");
  await replaceFile(hbaFile, accessRules());
  await replaceFile(identFile, userMap(server));
  await replaceFile(configFile, serverSettings({ socketDir, logDir: logFolder(home), hbaFile, identFile }, settings));
  return configFile;
}

async function replaceFile(path: string, text: string): Promise<void> {
  const fresh = `${path}.${process.pid}`;
  await writeFile(fresh, text, { mode: 0o644 });
  await chmod(fresh, 0o644);
  await rename(fresh, path);
}
