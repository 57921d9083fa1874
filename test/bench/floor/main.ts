/**
 * Measures the steps of an update's floor and prints them as one JSON object.
 * A program of its own, so that nothing of the fleet it is compared with runs in it.
 */
import { execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { copyFile, open, rm } from "node:fs/promises";
import { createInterface } from "node:readline";
import { parseArgs, promisify } from "node:util";
import { median } from "../median.ts";
import { stopwatchMs } from "../stopwatch-clock.ts";

const RUNS = 3;
const CHUNK_BYTES = 1024 * 1024;
const run = promisify(execFile);

const { values } = parseArgs({
  options: { binary: { type: "string" }, config: { type: "string" }, "state-dir": { type: "string" } },
});
const binary = values.binary ?? fail("--binary");
const files = [
  "--config",
  values.config ?? fail("--config"),
  "--state-dir",
  values["state-dir"] ?? fail("--state-dir"),
];

const copyMs = await measure(copyDurably);
const digestMs = await measure(digest);
const probeMs = await measure(() => run(binary, ["--probe", ...files], { env: {} }));
const helloMs = await measureHello();
const totalMs = copyMs + digestMs + probeMs + helloMs;
process.stdout.write(`${JSON.stringify({ copyMs, digestMs, probeMs, helloMs, totalMs })}\n`);

async function measure(work: () => Promise<unknown>): Promise<number> {
  const timesMs: number[] = [];
  for (let count = 0; count < RUNS; count += 1) {
    const startedMs = stopwatchMs();
    await work();
    timesMs.push(stopwatchMs() - startedMs);
  }
  return median(timesMs);
}

async function copyDurably(): Promise<void> {
  const copy = `${binary}.floor`;
  try {
    await copyFile(binary, copy);
    const file = await open(copy, "r+");
    await file.sync();
    await file.close();
  } finally {
    await rm(copy, { force: true });
  }
}

async function digest(): Promise<void> {
  const hash = createHash("sha256");
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  const file = await open(binary, "r");
  try {
    for (;;) {
      const { bytesRead } = await file.read(chunk, 0, CHUNK_BYTES);
      if (bytesRead === 0) break;
      hash.update(chunk.subarray(0, bytesRead));
    }
  } finally {
    await file.close();
  }
  hash.digest();
}

async function measureHello(): Promise<number> {
  const timesMs: number[] = [];
  for (let count = 0; count < RUNS; count += 1) {
    const startedMs = stopwatchMs();
    const agent = spawn(binary, ["run", ...files], { env: {}, cwd: "/", stdio: ["ignore", "pipe", "inherit"] });
    const exit = once(agent, "exit");
    try {
      for await (const line of createInterface({ input: agent.stdout })) {
        if ((JSON.parse(line) as { event: string }).event !== "connected") continue;
        timesMs.push(stopwatchMs() - startedMs);
        break;
      }
    } finally {
      agent.kill("SIGTERM");
      await exit;
    }
  }
  return median(timesMs);
}

function fail(option: string): never {
  throw new Error(`${option} is missing`);
}
