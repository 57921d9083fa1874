/**
 * What an update of one host costs at least on this machine: the sum of the
 * steps that none can do without, each measured alone by a process of its own.
 */
import { join } from "node:path";
import { RESTART_DELAY_MS } from "../demo/demo-host.ts";
import type { DemoFleet } from "../demo/demo-fleet.ts";
import { runCommand } from "../toolchain/run-command.ts";

/** *Units*: milliseconds, each the median of several runs. */
export interface Floor {
  /** Copy of the binary, made durable. */
  readonly copyMs: number;
  /** sha256 of the binary. */
  readonly digestMs: number;
  /** Start to end of its `--probe`. */
  readonly probeMs: number;
  /** Start of its `run` to its first Welcome. */
  readonly helloMs: number;
  readonly totalMs: number;
}

/** Enrols a host of its own for the start-to-Hello part and runs the floor script. */
export async function measureFloor(fleet: DemoFleet, signal: AbortSignal): Promise<Floor> {
  const host = await fleet.enrollHost("floor", fleet.builds.newer.binaryPath, signal);
  const options = ["--binary", host.binaryPath, "--config", host.configPath, "--state-dir", host.stateDir];
  const result = await runCommand(process.execPath, [join("test", "bench", "floor", "main.ts"), ...options], signal);
  signal.throwIfAborted();
  if (!result.succeeded) throw new Error(`the floor could not be measured:\n${result.output}`);
  return JSON.parse(result.stdout) as Floor;
}

/** How many floors an update took: as it was, and without the pause of the service manager, in which nothing is done. */
export function compareWithFloor(updateMs: number, floor: Floor): { whole: number; withoutRestartDelay: number } {
  return { whole: updateMs / floor.totalMs, withoutRestartDelay: (updateMs - RESTART_DELAY_MS) / floor.totalMs };
}
