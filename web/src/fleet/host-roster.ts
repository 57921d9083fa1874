/**
 * Every host by its id, in the order of the names, and counted. What it shows of itself
 * never changes afterwards: a host that changed costs one place in a copy of the order,
 * and only one that came, went or was renamed costs a sort.
 */
import { nameOf } from "../../../gen/words/host-name.ts";
import type { Host } from "../../../gen/rollcall/v1/model_pb.js";
import { EMPTY_TALLY, TallyKeeper, type HostTally } from "./host-tally.ts";

/** Finds a host by its id. */
export type HostsById = Pick<ReadonlyMap<string, Host>, "get" | "has" | "keys">;

/** An unchanging picture of all hosts. */
export interface RosterPicture {
  readonly hosts: HostsById;
  /** By name, then id. */
  readonly ordered: readonly Host[];
  readonly tally: HostTally;
}

/** No host at all. */
export const EMPTY_ROSTER: RosterPicture = { hosts: new Map(), ordered: [], tally: EMPTY_TALLY };

export class HostRoster {
  readonly #hosts = new Map<string, Host>();
  readonly #tally = new TallyKeeper();
  /** Where each host of the picture stands in its order. Made anew, never changed. */
  #places: ReadonlyMap<string, number> = new Map();
  #picture: RosterPicture = EMPTY_ROSTER;
  /** Hosts that changed in place since the picture was taken. */
  readonly #touched = new Set<string>();
  #isOrderStale = false;

  put(host: Host): void {
    const known = this.#hosts.get(host.id);
    this.#hosts.set(host.id, host);
    this.#tally.replace(known, host);
    if (known !== undefined && nameOf(known) === nameOf(host)) this.#touched.add(host.id);
    else this.#isOrderStale = true;
  }

  remove(id: string): void {
    const known = this.#hosts.get(id);
    if (!this.#hosts.delete(id)) return;
    this.#tally.replace(known, undefined);
    this.#isOrderStale = true;
  }

  /** As it is now: the same object for as long as nothing changes. */
  picture(): RosterPicture {
    if (this.#isOrderStale) {
      const ordered = [...this.#hosts.values()].toSorted(compareHosts);
      this.#places = new Map(ordered.map(({ id }, place) => [id, place]));
      this.#show(ordered);
    } else if (this.#touched.size > 0) {
      const ordered = [...this.#picture.ordered];
      for (const id of this.#touched) {
        const [host, place] = [this.#hosts.get(id), this.#places.get(id)];
        if (host !== undefined && place !== undefined) ordered[place] = host;
      }
      this.#show(ordered);
    }
    return this.#picture;
  }

  #show(ordered: readonly Host[]): void {
    this.#touched.clear();
    this.#isOrderStale = false;
    this.#picture = { hosts: byPlace(ordered, this.#places), ordered, tally: this.#tally.read() };
  }
}

/** By name as people read numbers in it, then id. */
const byName = new Intl.Collator("en", { numeric: true });

function compareHosts(a: Host, b: Host): number {
  return byName.compare(nameOf(a), nameOf(b)) || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}

/** Finds the hosts of one order. A copy of all of them by id would cost more than everything else. */
function byPlace(ordered: readonly Host[], places: ReadonlyMap<string, number>): HostsById {
  return {
    get: (id) => {
      const place = places.get(id);
      return place === undefined ? undefined : ordered[place];
    },
    has: (id) => places.has(id),
    keys: () => places.keys(),
  };
}
