/**
 * All hosts of a fleet: those that count, and those that are archived, each in the order
 * of their names. A host is in one of both, whatever is told of it.
 */
import type { Host } from "../../../gen/rollcall/v1/model_pb.js";
import { EMPTY_ROSTER, HostRoster, type HostsById, type RosterPicture } from "./host-roster.ts";

/** An unchanging picture of all hosts. `ordered` and `tally` are those of hosts that count; `hosts` finds any. */
export interface FleetRosterPicture extends RosterPicture {
  /** By name, then id. */
  readonly archived: readonly Host[];
}

/** No host at all. */
export const EMPTY_FLEET_ROSTER: FleetRosterPicture = { ...EMPTY_ROSTER, archived: [] };

export class FleetRoster {
  readonly #active = new HostRoster();
  readonly #archived = new HostRoster();
  #of: readonly [RosterPicture, RosterPicture] = [EMPTY_ROSTER, EMPTY_ROSTER];
  #picture: FleetRosterPicture = EMPTY_FLEET_ROSTER;

  put(host: Host): void {
    const [into, from] =
      host.archivedAt === undefined ? [this.#active, this.#archived] : [this.#archived, this.#active];
    from.remove(host.id);
    into.put(host);
  }

  remove(id: string): void {
    this.#active.remove(id);
    this.#archived.remove(id);
  }

  /** As it is now: the same object for as long as nothing changes. */
  picture(): FleetRosterPicture {
    const [active, archived] = [this.#active.picture(), this.#archived.picture()];
    if (active !== this.#of[0] || archived !== this.#of[1]) {
      this.#of = [active, archived];
      this.#picture = { ...active, hosts: findIn(active.hosts, archived.hosts), archived: archived.ordered };
    }
    return this.#picture;
  }
}

function findIn(one: HostsById, other: HostsById): HostsById {
  return {
    get: (id) => one.get(id) ?? other.get(id),
    has: (id) => one.has(id) || other.has(id),
    keys: () => [...one.keys(), ...other.keys()].values(),
  };
}
