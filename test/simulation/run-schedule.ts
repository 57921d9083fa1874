/** Runs the schedule of one seed to its end. */
import { Dice } from "./dice.ts";
import { drawFate } from "./fate.ts";
import { drawSchedule, LATER_VERSION, TO_VERSION } from "./schedule.ts";
import { World, type RunOptions } from "./world.ts";

export interface Outcome {
  readonly seed: number;
  /** The first things that must never be, with their instants. */
  readonly violations: readonly string[];
  readonly sightings: ReadonlySet<string>;
  /** *Units*: virtual milliseconds. */
  readonly lengthMs: number;
}

/** *Units*: virtual milliseconds. */
const AUDIT_INTERVAL_MS = 1_000;
const START_FLEET_AT_MS = 3_000;

/** Runs one schedule until everything is settled, or something is that must never be. */
export async function runSchedule(seed: number, options: RunOptions = {}): Promise<Outcome> {
  const dice = new Dice(seed);
  const schedule = drawSchedule(dice);
  const world = new World(dice, schedule, options);
  const { time, auditor } = world;
  const ask = planFaults(world, dice);
  const endMs = schedule.faultsUntilMs + 600_000 + schedule.hosts * 500_000;
  audit(world);
  while (auditor.violations.length === 0 && (await time.step())) {
    if (time.nowMs > Math.max(ask, schedule.faultsUntilMs) && world.isSettled) break;
    if (time.nowMs > endMs) auditor.object("not everything has come to its end");
  }
  return { seed, violations: auditor.violations, sightings: auditor.sightings, lengthMs: time.nowMs };
}

function audit(world: World): void {
  world.time.after(AUDIT_INTERVAL_MS, () => {
    if (world.isServed) world.auditor.served(AUDIT_INTERVAL_MS);
    audit(world);
  });
}

/** Plans what operators and misfortune do, and when. *Shape*: the last of these moments, in virtual milliseconds. */
function planFaults(world: World, dice: Dice): number {
  const { time, schedule } = world;
  let lastMs = START_FLEET_AT_MS;
  const at = (atMs: number, work: () => void): void => {
    lastMs = Math.max(lastMs, atMs);
    time.after(atMs, work);
  };
  for (let attempt = 0; attempt < 3; attempt += 1) {
    at(START_FLEET_AT_MS * 2 ** attempt, () => world.startFleet(false));
  }
  for (let fault = 0; fault < schedule.faults; fault += 1) {
    const strike = drawFault(world, dice);
    at(dice.whole(0, schedule.faultsUntilMs), () => {
      if (world.isStormy) strike();
    });
  }
  if (dice.chance(0.2)) {
    const retryAtMs = schedule.faultsUntilMs + dice.whole(1_000, 200_000);
    at(retryAtMs, () => {
      for (const agent of world.agents) agent.setFate(drawFate(dice, 0));
      world.startFleet(true);
    });
  }
  const { clockJumpMs } = schedule;
  if (clockJumpMs !== undefined) {
    at(dice.whole(4_000, schedule.faultsUntilMs), () => {
      // A jump that no server sees is no jump that any could mend.
      if (!world.isServed) return;
      world.calm(10_000);
      world.db.jumpClock(clockJumpMs);
    });
  }
  return lastMs;
}

function drawFault(world: World, dice: Dice): () => void {
  const agent = dice.pick(world.agents);
  const { hostId } = agent;
  return dice.pick([
    () => world.killServer(),
    () => world.killServer(),
    () => world.stopServer(),
    () => world.stopServer(),
    () => agent.link?.cut(),
    () => agent.link?.cut(),
    () => agent.link?.stall(dice.whole(1_000, 40_000)),
    () => agent.freeze(dice.whole(1_000, 120_000)),
    () => agent.restart(),
    () => agent.goAway(dice.chance(0.5) ? dice.whole(5_000, 120_000) : undefined),
    () => world.updateHost(hostId),
    () => world.updateHost(hostId),
    () => world.cancelJob(hostId),
    () => world.cancelFleet(),
    () => world.startFleet(false),
    () => world.removeHost(hostId),
    () => world.db.setTarget(dice.pick([TO_VERSION, LATER_VERSION])),
  ]);
}
