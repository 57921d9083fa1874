/** Runs many schedules and gathers what they showed. */
import { realClock } from "../support/real-clock.ts";
import { runSchedule, type Outcome } from "./run-schedule.ts";
import type { RunOptions } from "./world.ts";

/** How often the event loop gets a turn, so that whoever waits for this process hears of it. */
const SCHEDULES_A_TURN = 50;

export interface Campaign {
  /** The first outcome with a violation, if there is one. */
  readonly violated: Outcome | undefined;
  /** What was seen, and in how many schedules. */
  readonly sightings: ReadonlyMap<string, number>;
  readonly schedules: number;
}

/** Runs schedules of rising seeds until one is violated in a way that `matters`. */
export async function runCampaign(
  firstSeed: number,
  count: number,
  options: RunOptions = {},
  matters: (violation: string) => boolean = () => true,
): Promise<Campaign> {
  const sightings = new Map<string, number>();
  for (let seed = firstSeed; seed < firstSeed + count; seed += 1) {
    const outcome = await runSchedule(seed, options);
    for (const sighting of outcome.sightings) sightings.set(sighting, (sightings.get(sighting) ?? 0) + 1);
    if (outcome.violations.some(matters)) return { violated: outcome, sightings, schedules: seed - firstSeed + 1 };
    if (seed % SCHEDULES_A_TURN === 0) await new Promise<void>((resolve) => void realClock.schedule(0, resolve));
  }
  return { violated: undefined, sightings, schedules: count };
}
