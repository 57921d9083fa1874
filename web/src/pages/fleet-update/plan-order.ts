/** The hosts that a new fleet update would take, in the order that somebody gave them. */
import { HostStatus, type Host } from "../../../../gen/rollcall/v1/model_pb.js";
import { heldWord } from "../../../../gen/words/standing-words.ts";

/** What the operator changed of the plan. */
export interface PlanChanges {
  /** Host ids in the order they were put; those that are not in it follow by name. */
  readonly order: readonly string[];
  readonly leftOut: ReadonlySet<string>;
}

/** Nothing changed. */
export const UNCHANGED: PlanChanges = { order: [], leftOut: new Set() };

/** Hosts that are behind: those that can be taken in their order, and those that are left out. */
export interface Plan {
  readonly candidates: readonly Host[];
  readonly chosen: readonly Host[];
  readonly offline: readonly Host[];
  /** Online, but no update would be sent to them. */
  readonly held: readonly Host[];
}

/** Plans over the hosts of a fleet, which are by name. */
export function planHosts(ordered: readonly Host[], { order, leftOut }: PlanChanges): Plan {
  const behind = ordered.filter((host) => host.updateAvailable && host.agentVersion !== "");
  const online = behind.filter(({ status }) => status === HostStatus.ONLINE);
  const free = online.filter((host) => heldWord(host) === undefined);
  const places = new Map(order.map((id, place) => [id, place]));
  const placeOf = ({ id }: Host): number => places.get(id) ?? Number.MAX_SAFE_INTEGER;
  const candidates = free.toSorted((a, b) => placeOf(a) - placeOf(b));
  return {
    candidates,
    chosen: candidates.filter(({ id }) => !leftOut.has(id)),
    offline: behind.filter(({ status }) => status === HostStatus.OFFLINE),
    held: online.filter((host) => heldWord(host) !== undefined),
  };
}

/** The order with one host moved by `steps`; the same order when it would leave the list. */
export function moveHost(candidates: readonly Host[], id: string, steps: number): readonly string[] {
  const ids = candidates.map((host) => host.id);
  const from = ids.indexOf(id);
  const to = from + steps;
  if (from === -1 || to < 0 || to >= ids.length) return ids;
  return ids.toSpliced(from, 1).toSpliced(to, 0, id);
}
