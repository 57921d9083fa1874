import { systemClock } from "../../agent/clock-system.ts";
import { computeVersion } from "../../gen/version.ts";
import { compareWithFloor, measureFloor } from "../bench/floor.ts";
import { repositoryRoot } from "../toolchain/repository-root.ts";
import { buildAgents } from "./agent-builds.ts";
import { DemoFleet, type HostIds } from "./demo-fleet.ts";
import { breakConfig, RESTART_DELAY_MS } from "./demo-host.ts";
import { formatGuide } from "./guide.ts";
import type { DemoOptions } from "./options.ts";
import { rollOut } from "./roll-out.ts";

/** *Units*: bytes; eight petabytes. */
const NO_DISK_HAS_BYTES = 2 ** 53 - 1;

/** Where lines for people go. */
export type Print = (line: string) => void;

/** Runs the demo until it is done, or until `signal` is aborted. Returns the exit status. */
export async function runDemo(options: DemoOptions, print: Print, signal: AbortSignal): Promise<number> {
  const builds = await buildAgents(computeVersion(repositoryRoot), print, signal);
  signal.throwIfAborted();
  print("Starting the server …");
  await using fleet = await DemoFleet.start(builds, systemClock, signal);
  const names = Array.from({ length: options.hosts }, (_, index) => `demo-${String(index + 1).padStart(2, "0")}`);
  const nameOf = (number: number | undefined): string | undefined =>
    number === undefined ? undefined : names[number - 1];
  const settingsOf = (name: string) => (name === nameOf(options.breakHost) ? { reserveBytes: NO_DISK_HAS_BYTES } : {});
  const ids = await fleet.addHosts(names, signal, settingsOf);
  print(
    `Hosts online: ${ids.size}, with agent ${builds.older.version}; the server's own version is ${builds.newer.version}.`,
  );
  if (options.auto) return await updateAll(fleet, ids, nameOf(options.breakAfterHost), print, signal);
  print(formatGuide(fleet.server, ids.values().next().value ?? ""));
  const stopped = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  const status = await Promise.race([stopped, fleet.server.exited]);
  if (status === undefined) return 0;
  print(`The server ended by itself with ${status}.`);
  return 1;
}

async function updateAll(
  fleet: DemoFleet,
  ids: HostIds,
  breaks: string | undefined,
  print: Print,
  signal: AbortSignal,
): Promise<number> {
  const committed = async (name: string): Promise<void> => {
    const host = fleet.hosts.get(name);
    if (name === breaks && host !== undefined) await breakConfig(host);
  };
  const result = await rollOut(fleet, ids, { print, committed }, signal);
  const { succeeded, failed, elapsedMs, bytesFetched } = result;
  await printRatio(fleet, result.updateMs, print, signal);
  print(JSON.stringify({ hosts: ids.size, succeeded, failed, elapsedMs, bytesFetched: Number(bytesFetched) }));
  return succeeded === ids.size ? 0 : 1;
}

/** How the slowest update compares with what none can do without. */
async function printRatio(
  fleet: DemoFleet,
  durationsMs: readonly number[],
  print: Print,
  signal: AbortSignal,
): Promise<void> {
  if (durationsMs.length === 0) return;
  const slowestMs = Math.max(...durationsMs);
  const floor = await measureFloor(fleet, signal);
  const ratio = compareWithFloor(slowestMs, floor);
  print(
    `Floor of this machine: ${seconds(floor.totalMs)} (copy ${seconds(floor.copyMs)}, sha256 ${seconds(floor.digestMs)}, ` +
      `probe ${seconds(floor.probeMs)}, start to Hello ${seconds(floor.helloMs)})`,
  );
  print(
    `Update of one host: at most ${seconds(slowestMs)}, ${ratio.whole.toFixed(2)} times the floor; ` +
      `without the restart delay of ${seconds(RESTART_DELAY_MS)} ${ratio.withoutRestartDelay.toFixed(2)} times`,
  );
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(2)} s`;
}
