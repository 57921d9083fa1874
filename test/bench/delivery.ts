/**
 * What an update moves and how long it takes when only the agent's own sources, one
 * of its packages, or its Node changed, beside a download of the whole file: on
 * loopback and over a slow link.
 */
import { hash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { constants, zstdCompress } from "node:zlib";
import { computeVersion } from "../../gen/version.ts";
import { buildAgents } from "../demo/agent-builds.ts";
import { createWorkspace } from "../demo/workspace.ts";
import { repositoryRoot } from "../toolchain/repository-root.ts";
import { runCommand } from "../toolchain/run-command.ts";
import { buildFormerAgents, readBuildFacts } from "./delivery/former-agents.ts";
import type { DeliveryOrder, DeliveryResult } from "./delivery/measure-program.ts";
import { explainNoSlowLink, SLOW_LINK, SlowLink } from "./delivery/slow-link.ts";
import type { Suite } from "./suite.ts";

const compress = promisify(zstdCompress);

/** Of the download that deliveries are compared with. */
const WHOLE_FILE_LEVEL = 3;

export const deliverySuite: Suite = {
  name: "delivery",
  async run(print, signal) {
    await using workspace = await createWorkspace("rollcall-bench-delivery-");
    const version = computeVersion(repositoryRoot);
    const builds = await buildAgents(version, print, signal);
    print("Building the agents to update from …");
    const facts = await readBuildFacts(version);
    const formerAgents = await buildFormerAgents(builds, facts, workspace.path);
    const artifact = await readFile(builds.newer.binaryPath);
    const compressedPath = join(workspace.path, "whole.zst");
    const level = { params: { [constants.ZSTD_c_compressionLevel]: WHOLE_FILE_LEVEL } };
    await writeFile(compressedPath, await compress(artifact, level));
    const measure = async (link: Pick<DeliveryOrder, "address" | "launcher" | "device">, prefix: readonly string[]) => {
      const targetPath = join(workspace.path, `whole-${prefix.length}`);
      const whole = { compressedPath, sha256: hash("sha256", artifact, "hex"), targetPath };
      const order: DeliveryOrder = { builds, formerAgents, whole, ...link };
      return await runMeasurement(order, prefix, signal);
    };

    const loopback = await measure({ address: "127.0.0.1", launcher: [], device: undefined }, []);
    printTable("loopback", loopback, artifact.length, print);
    const problem = await explainNoSlowLink();
    if (problem !== undefined) {
      print(`Not measured over a slow link: ${problem}.`);
      return { artifactBytes: artifact.length, loopback, notMeasured: problem };
    }
    await using link = await SlowLink.open();
    const ends = { address: link.nearAddress, launcher: ["ip", "netns", "exec", link.far], device: "rollcall0" };
    const slow = await measure(ends, ["ip", "netns", "exec", link.near]);
    printTable(`${SLOW_LINK.kbitPerSecond} kbit/s, ${SLOW_LINK.delayMs} ms each way`, slow, artifact.length, print);
    return { artifactBytes: artifact.length, loopback, slowLink: SLOW_LINK, slow };
  },
};

async function runMeasurement(
  order: DeliveryOrder,
  prefix: readonly string[],
  signal: AbortSignal,
): Promise<readonly DeliveryResult[]> {
  const program = join(import.meta.dirname, "delivery", "measure-program.ts");
  const [command, ...words] = [...prefix, process.execPath, program, JSON.stringify(order)];
  const result = await runCommand(command, words, signal);
  signal.throwIfAborted();
  if (!result.succeeded) throw new Error(`the deliveries could not be measured:\n${result.output}`);
  const lines = result.stdout.trim().split("\n");
  return lines.map((line) => JSON.parse(line) as DeliveryResult);
}

function printTable(
  title: string,
  results: readonly DeliveryResult[],
  artifactBytes: number,
  print: (line: string) => void,
): void {
  print(`${title.padEnd(34)} seconds    payload  % of file       wire  % of file`);
  for (const { what, elapsedMs, payloadBytes, wireBytes } of results) {
    const share = (bytes: number | undefined): string =>
      bytes === undefined ? "-" : ((100 * bytes) / artifactBytes).toFixed(3);
    print(
      `${what.padEnd(34)} ${(elapsedMs / 1000).toFixed(2).padStart(7)} ${String(payloadBytes).padStart(10)} ${share(payloadBytes).padStart(10)} ` +
        `${String(wireBytes ?? "-").padStart(10)} ${share(wireBytes).padStart(10)}`,
    );
  }
}
