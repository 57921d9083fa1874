/**
 * Rows that keep their places while somebody points at them or has the focus in them.
 * What a row says still changes; where it stands does not.
 */
import type { Host } from "../../../../gen/rollcall/v1/model_pb.js";
import type { HostsById } from "../../fleet/host-roster.ts";

/** What is shown while the order is held. */
export interface HeldOrder {
  readonly rows: readonly Host[];
  /** Rows that would move, come or go. */
  readonly moves: number;
}

/** Keeps the hosts of `held` in their places, as `hosts` knows them now. `wanted` is what would be shown else. */
export function holdOrder(held: readonly string[], wanted: readonly Host[], hosts: HostsById): HeldOrder {
  // Nearly always; and what follows costs several milliseconds in a large fleet.
  if (held.length === wanted.length && held.every((id, index) => wanted[index]?.id === id))
    return { rows: wanted, moves: 0 };
  const rows = held.flatMap((id) => hosts.get(id) ?? []);
  const shown = new Map(rows.map((host, index) => [host.id, index]));
  let arrivals = 0;
  const kept: number[] = [];
  for (const host of wanted) {
    const index = shown.get(host.id);
    if (index === undefined) arrivals += 1;
    else kept.push(index);
  }
  const departures = rows.length - kept.length;
  return { rows, moves: arrivals + departures + (kept.length - longestRise(kept)) };
}

/** Length of the longest rising run of numbers, not necessarily side by side: what need not move. */
function longestRise(numbers: readonly number[]): number {
  const tails: number[] = [];
  for (const number of numbers) {
    let low = 0;
    let high = tails.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((tails[middle] ?? 0) < number) low = middle + 1;
      else high = middle;
    }
    tails[low] = number;
  }
  return tails.length;
}
