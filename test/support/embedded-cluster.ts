import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** A throw-away cluster in a process of its own. */
export interface KeptCluster extends AsyncDisposable {
  readonly socketDir: string;
}

const KEEPER = fileURLToPath(new URL("./cluster-keeper.ts", import.meta.url));

/**
 * Starts a throw-away cluster. It ends with its disposal or with this process, whichever comes first.
 *
 * *Throws* Error when it does not start; its words are on standard error then.
 */
export async function keepCluster(): Promise<KeptCluster> {
  // In a session of its own: Ctrl-C in the terminal must not reach it before it can tidy up.
  const keeper = spawn(process.execPath, [KEEPER], { detached: true, stdio: ["pipe", "pipe", "inherit"] });
  const ended = once(keeper, "exit");
  const lines = createInterface(keeper.stdout);
  const first = await Promise.race([once(lines, "line"), ended.then(() => undefined)]);
  if (first === undefined) throw new Error("the test database did not start");
  const { socketDir } = JSON.parse(String(first[0])) as { socketDir: string };
  return {
    socketDir,
    async [Symbol.asyncDispose]() {
      keeper.stdin.end();
      await ended;
      lines.close();
    },
  };
}
