/** What one seed means: a fleet, a policy, what its hosts do, and how much goes wrong around them. */
import type { FleetUpdatePolicy } from "../../server/domain/fleet-update.ts";
import type { Dice } from "./dice.ts";

export const FROM_VERSION = "1.0.0";
export const TO_VERSION = "1.1.0";
export const LATER_VERSION = "1.2.0";

export interface Schedule {
  readonly hosts: number;
  readonly servers: number;
  /** The chance of each kind of misfortune of a host. */
  readonly trouble: number;
  readonly policy: FleetUpdatePolicy;
  /** Hosts that a snapshot holds beyond those in flight. */
  readonly lookAhead: number;
  /** Until then faults strike; afterwards everything has to come to its end. *Units*: milliseconds. */
  readonly faultsUntilMs: number;
  /** How many faults strike at moments of their own. */
  readonly faults: number;
  /** The chance of a kill or a stop at each point between storing and sending. */
  readonly deadlyPoints: number;
  readonly isDatabaseShaky: boolean;
  /** How far the database's clock jumps, once. *Units*: milliseconds. */
  readonly clockJumpMs: number | undefined;
}

export function drawSchedule(dice: Dice): Schedule {
  const size = dice.whole(1, 200);
  const hosts = size === 1 ? 50 : size <= 20 ? dice.whole(7, 15) : dice.whole(2, 5);
  const servers = dice.chance(0.25) ? 2 : 1;
  const jumps = dice.chance(0.12);
  return {
    hosts,
    servers,
    trouble: dice.pick([0, 0.03, 0.1, 0.25]),
    policy: {
      maxInFlight: dice.pick([1, 1, 2, 3, 20]),
      maxFailures: dice.pick([0, 0, 1, 2, 100]),
      offline: dice.pick(["halt", "skip"]),
    },
    lookAhead: dice.pick([1, 50]),
    faultsUntilMs: dice.whole(10_000, 150_000),
    faults: dice.pick([0, 1, 2, 4, 8]),
    deadlyPoints: dice.pick([0, 0, 0.02, 0.08]),
    isDatabaseShaky: dice.chance(0.3),
    clockJumpMs: jumps ? dice.pick([-86_400_000, -300_000, 60_000, 300_000, 86_400_000]) : undefined,
  };
}
