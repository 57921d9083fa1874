import { setImmediate } from "node:timers/promises";

const PATIENCE_TURNS = 2_000;

/** The sockets that this process still holds. What was closed gets a few turns of the loop to be gone. */
export async function findOpenSockets(): Promise<readonly string[]> {
  let open: readonly string[] = [];
  for (let turn = 0; turn < PATIENCE_TURNS; turn += 1) {
    open = process.getActiveResourcesInfo().filter((name) => /^(?:TCP|TLS)/.test(name));
    if (open.length === 0) return [];
    await setImmediate();
  }
  return open;
}
