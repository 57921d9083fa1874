/**
 * Measures the steps of an update's floor and prints them as one JSON object.
 * A program of its own, so that nothing of the fleet it is compared with runs in it.
 */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { copyFile, open, rm } from "node:fs/promises";
import { createInterface } from "node:readline";
import { parseArgs, promisify } from "node:util";
import { digestFile } from "../../../agent/updater/file-digest.ts";
import { median } from "../median.ts";
import { stopwatchMs } from "../stopwatch-clock.ts";

/** Odd, so that the median is one of them. */
const RUNS = 5;
const run = promisify(execFile);

const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => stop.abort());

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
const digestMs = await measure(() => digestFile(binary));
const probeMs = await measure(() => run(binary, ["--probe", ...files], { env: {} }));
const helloMs = await measure(startToWelcome, endAgent);
const totalMs = copyMs + digestMs + probeMs + helloMs;
process.stdout.write(`${JSON.stringify({ copyMs, digestMs, probeMs, helloMs, totalMs })}\n`);

/** The median of several runs; `tidy` is not part of them, and nothing of one is left when the next begins. */
async function measure<Made>(work: () => Promise<Made>, tidy?: (made: Made) => Promise<unknown>): Promise<number> {
  const timesMs: number[] = [];
  for (let count = 0; count < RUNS; count += 1) {
    stop.signal.throwIfAborted();
    const startedMs = stopwatchMs();
    const made = await work();
    timesMs.push(stopwatchMs() - startedMs);
    await tidy?.(made);
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

/** One start of the agent until it says that a server welcomed it. */
async function startToWelcome(): Promise<ChildProcess> {
  const agent = spawn(binary, ["run", ...files], { env: {}, cwd: "/", stdio: ["ignore", "pipe", "inherit"] });
  const end = (): unknown => agent.kill("SIGTERM");
  stop.signal.addEventListener("abort", end, { once: true });
  try {
    for await (const line of createInterface({ input: agent.stdout })) {
      if ((JSON.parse(line) as { event: string }).event === "connected") return agent;
    }
    throw new Error("the agent ended without a server's welcome");
  } finally {
    stop.signal.removeEventListener("abort", end);
  }
}

async function endAgent(agent: ChildProcess): Promise<void> {
  const exit = once(agent, "exit");
  agent.stdout?.resume();
  agent.kill("SIGTERM");
  await exit;
}

function fail(option: string): never {
  throw new Error(`${option} is missing`);
}
