/** Moments on a running host. */
import { watch } from "node:fs";
import { access, readFile } from "node:fs/promises";
import { once } from "node:events";
import { AGENT_PATHS } from "./agent-host.ts";
import type { SystemdHost } from "./systemd-host.ts";

/** Resolves once the new binary stands at its path, not confirmed yet. */
export async function untilSwapped(host: SystemdHost): Promise<void> {
  const watcher = watch(host.path(AGENT_PATHS.folder));
  try {
    // Begins to wait before it looks, else a change in between goes unseen.
    for (let next = once(watcher, "change"); !(await isSwapped(host)); next = once(watcher, "change")) await next;
  } finally {
    watcher.close();
  }
}

/** Resolves once a unit has said this. *Throws* Error with its log when it fails before. */
export async function untilLogged(host: SystemdHost, unit: string, text: string): Promise<void> {
  const follow = `journalctl --follow --lines=all --output=cat --unit=${unit}`;
  // Not a pipe: its reader would end, its writer would not.
  const found = await host.demand("bash", "-c", `grep -m 1 -F -e '${text}' -e 'Failed with result' <(exec ${follow})`);
  if (found.includes(text)) return;
  throw new Error(await host.demand("journalctl", "--no-pager", "--output=cat", `--unit=${unit}`));
}

async function isSwapped(host: SystemdHost): Promise<boolean> {
  const { journal, staged } = AGENT_PATHS;
  const text = await readFile(host.path(journal), "utf8").catch(() => "");
  const isStaged = await access(host.path(staged)).then(
    () => true,
    () => false,
  );
  return text.includes("\nstate unconfirmed\n") && !isStaged;
}
