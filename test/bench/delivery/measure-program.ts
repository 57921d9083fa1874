/**
 * Updates one host from each former agent, then downloads the whole artifact, all
 * over one link, and prints each result as a line of JSON. A program of its own, so
 * that it can run in a network namespace.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../../agent/clock-system.ts";
import type { AgentBuilds } from "../../demo/agent-builds.ts";
import { DemoFleet } from "../../demo/demo-fleet.ts";
import { describeJob, updateHost } from "../../demo/update-host.ts";
import { runCommand } from "../../toolchain/run-command.ts";
import type { FormerAgent } from "./former-agents.ts";

/** What to measure, as the program's one argument has it in JSON. */
export interface DeliveryOrder {
  readonly builds: AgentBuilds;
  readonly formerAgents: readonly FormerAgent[];
  /** The artifact, compressed as a whole; its sha256 before; a file to write it to. */
  readonly whole: { readonly compressedPath: string; readonly sha256: string; readonly targetPath: string };
  /** Where the server's side listens. */
  readonly address: string;
  /** Runs a command on the host's side of the link. */
  readonly launcher: readonly string[];
  /** The device whose traffic counts, where there is one. */
  readonly device: string | undefined;
}

/** One delivery. *Units*: bytes and milliseconds. */
export interface DeliveryResult {
  readonly what: FormerAgent["change"] | "whole";
  readonly elapsedMs: number;
  /** Payload: blocks as they were sent, or the compressed file. */
  readonly payloadBytes: number;
  /** All that went to the host, IP headers included; `undefined` where nobody counted. */
  readonly wireBytes: number | undefined;
}

const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => stop.abort());

const order = JSON.parse(process.argv[2] ?? "") as DeliveryOrder;
await updateFromEach();
await downloadWhole();

async function updateFromEach(): Promise<void> {
  await using fleet = await DemoFleet.start(order.builds, systemClock, stop.signal, order.address);
  for (const { change, binaryPath } of order.formerAgents) {
    fleet.start(await fleet.enrollHost(change, binaryPath, stop.signal, { launcher: order.launcher }));
    const hostId = await fleet.waitUntilOnline(change, stop.signal);
    const sentBefore = countSent();
    const { job, succeeded, elapsedMs } = await updateHost(fleet.client, fleet.watch, hostId, stop.signal);
    if (!succeeded) throw new Error(`the update of ${change} ${describeJob(job)}`);
    print({ what: change, elapsedMs, payloadBytes: Number(job.bytesDelivered), wireBytes: countSince(sentBefore) });
  }
}

async function downloadWhole(): Promise<void> {
  const { compressedPath, sha256, targetPath } = order.whole;
  const program = join(import.meta.dirname, "whole-file-program.ts");
  const server = spawn(process.execPath, [program, "serve", order.address, compressedPath], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const [port] = (await once(server.stdout, "data")) as [Buffer];
  const sentBefore = countSent();
  const url = `http://${order.address}:${port.toString().trim()}/`;
  const [command, ...words] = [...order.launcher, process.execPath, program, "fetch", url, targetPath, sha256];
  const result = await runCommand(command, words, stop.signal);
  server.stdin.end();
  if (!result.succeeded) throw new Error(result.output);
  const payloadBytes = readFileSync(compressedPath).length;
  print({ what: "whole", elapsedMs: Number(result.stdout), payloadBytes, wireBytes: countSince(sentBefore) });
}

function countSent(): number | undefined {
  if (order.device === undefined) return undefined;
  return Number(readFileSync(`/sys/class/net/${order.device}/statistics/tx_bytes`, "utf8"));
}

function countSince(before: number | undefined): number | undefined {
  const now = countSent();
  return now === undefined || before === undefined ? undefined : now - before;
}

function print(result: DeliveryResult): void {
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
