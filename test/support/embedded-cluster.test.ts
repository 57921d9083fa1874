import { spawn } from "node:child_process";
import { once } from "node:events";
import { access } from "node:fs/promises";
import { createInterface } from "node:readline";
import { dirname } from "node:path";
import { expect, test } from "vitest";

const MODULE = new URL("./embedded-cluster.ts", import.meta.url).href;
const PROGRAM = `import { keepCluster } from ${JSON.stringify(MODULE)};
const cluster = await keepCluster();
console.log(cluster.socketDir);`;

const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );

test.each(["SIGINT", "SIGTERM", "SIGKILL"] as const)(
  "a test run that ends by %s leaves no database",
  async (signal) => {
    const run = spawn(process.execPath, ["--input-type=module", "-e", PROGRAM], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [socketDir] = (await once(createInterface(run.stdout), "line")) as [string];
    expect(await exists(socketDir)).toBe(true);
    run.kill(signal);
    await once(run, "exit");
    const dataDir = dirname(dirname(socketDir));
    await expect.poll(() => exists(dataDir), { timeout: 20_000 }).toBe(false);
  },
);
