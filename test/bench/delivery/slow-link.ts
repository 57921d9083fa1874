/** Two network namespaces of their own with a slow link between them. */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { access } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { explainMissingTools } from "../../faults/system-tools.ts";

const run = promisify(execFile);

/** *Units*: the link's rate in kbit/s and its delay each way in milliseconds. */
export const SLOW_LINK = { kbitPerSecond: 10_000, delayMs: 50 };

const FAR_ADDRESS = "10.77.31.2";

/** Says in one line why this machine can have no such link; `undefined` where it can. */
export async function explainNoSlowLink(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return "a slow link needs root";
  const missing = explainMissingTools("iproute2", "python3");
  if (missing !== undefined) return missing;
  return access("/dev/net/tun").then(
    () => undefined,
    () => "there is no /dev/net/tun",
  );
}

/** The server's end is *near*, the host's *far*. Disposing removes both namespaces. */
export class SlowLink implements AsyncDisposable {
  readonly near: string;
  readonly far: string;
  readonly nearAddress = "10.77.31.1";
  readonly #child: ChildProcess;

  private constructor(near: string, far: string, child: ChildProcess) {
    this.near = near;
    this.far = far;
    this.#child = child;
  }

  /** *Throws* Error with what the system said. */
  static async open(): Promise<SlowLink> {
    const [near, far] = [`rollcall-near-${process.pid}`, `rollcall-far-${process.pid}`];
    const { kbitPerSecond, delayMs } = SLOW_LINK;
    try {
      for (const name of [near, far]) await run("ip", ["netns", "add", name]);
      const ends = [near, "10.77.31.1", far, FAR_ADDRESS, String(kbitPerSecond), String(delayMs)];
      const child = spawn("python3", [join(import.meta.dirname, "slow-link.py"), ...ends], {
        stdio: ["pipe", "pipe", "inherit"],
      });
      const lines = createInterface({ input: child.stdout });
      const [line] = (await Promise.race([once(lines, "line"), once(child, "exit")])) as [unknown];
      if (line !== "ready") throw new Error("the slow link did not come up");
      return new SlowLink(near, far, child);
    } catch (error) {
      await removeNamespaces([near, far]);
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exit = once(this.#child, "exit");
    this.#child.stdin?.end();
    await exit;
    await removeNamespaces([this.near, this.far]);
  }
}

async function removeNamespaces(names: readonly string[]): Promise<void> {
  for (const name of names) await run("ip", ["netns", "delete", name]).catch(() => undefined);
}
