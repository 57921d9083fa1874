/**
 * Where the first setup link goes: to the terminal that the server was started from,
 * else into a file of the server's user alone. Never into the log, which others read.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Log } from "./log.ts";
import { writeDurably } from "./stream/write-durably.ts";

/** Tells of the link. `terminal` writes to a person; without one it goes into the data directory. */
export async function announceSetupLink(
  link: { readonly url: string; readonly expiresAt: Date },
  dataDir: string,
  terminal: ((text: string) => void) | undefined,
  log: Log,
): Promise<void> {
  if (terminal !== undefined) {
    const until = `once, until ${link.expiresAt.toISOString()}`;
    terminal(`\nThere are no users yet. Open this to become the first admin (${until}):\n\n    ${link.url}\n\n`);
    return;
  }
  const path = linkPath(dataDir);
  await writeDurably(path, `${link.url}\n`, 0o600);
  log("info", "no users yet: open the link in this file to become the first admin", { path });
}

/** Removes the file once there is a user: its link opens nothing any more. */
export async function withdrawSetupLink(dataDir: string): Promise<void> {
  await rm(linkPath(dataDir), { force: true });
}

function linkPath(dataDir: string): string {
  return join(dataDir, "setup-link");
}
