import { systemClock } from "../../agent/clock-system.ts";
import { computeVersion } from "../../gen/version.ts";
import { buildAgents } from "../demo/agent-builds.ts";
import { DemoFleet } from "../demo/demo-fleet.ts";
import { RESTART_DELAY_MS } from "../demo/demo-host.ts";
import { describeJob, describeMilestones, updateHost } from "../demo/update-host.ts";
import { repositoryRoot } from "../toolchain/repository-root.ts";
import { compareWithFloor, measureFloor } from "./floor.ts";
import { median } from "./median.ts";
import type { Suite } from "./suite.ts";

const RUNS = 3;

/**
 * From UpdateHost to `succeeded` as an outside client sees it, the service
 * manager's restart delay included, against the floor measured in the same run.
 */
export const updateSuite: Suite = {
  name: "update",
  async run(print, signal) {
    await using fleet = await DemoFleet.start(
      await buildAgents(computeVersion(repositoryRoot), print, signal),
      systemClock,
      signal,
    );
    const updatesMs: number[] = [];
    const ids = await fleet.addHosts(
      Array.from({ length: RUNS }, (_, index) => `bench-${index + 1}`),
      signal,
    );
    for (const [name, id] of ids) {
      const result = await updateHost(fleet.client, fleet.watch, id, signal);
      if (!result.succeeded) throw new Error(`the update of ${name} ${describeJob(result.job)}`);
      updatesMs.push(result.elapsedMs);
      print(`${name}: ${describeMilestones(result.milestones)}`);
    }
    const floor = await measureFloor(fleet, signal);
    const updateMs = median(updatesMs);
    print("step                 ms");
    for (const [step, stepMs] of Object.entries({ ...floor, updateMs, slowestUpdateMs: Math.max(...updatesMs) })) {
      print(`${step.replace(/Ms$/, "").padEnd(16)} ${stepMs.toFixed(0).padStart(6)}`);
    }
    return { updatesMs, updateMs, restartDelayMs: RESTART_DELAY_MS, floor, ratio: compareWithFloor(updateMs, floor) };
  },
};
