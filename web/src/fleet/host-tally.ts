/**
 * How many hosts each choice of a filter would show. Kept up as hosts come, change and
 * go, so that a change costs what one host costs, however large the fleet.
 */
import { formatLabel } from "../../../gen/labels.ts";
import { HostStatus, type Host } from "../../../gen/rollcall/v1/model_pb.js";
import { isFailing } from "./host-query.ts";

/** How many hosts each choice of a filter would show on its own. */
export interface HostTally {
  readonly behind: number;
  readonly offline: number;
  /** Of those that are behind. */
  readonly behindOffline: number;
  readonly failing: number;
  /** By name, the most frequent first. */
  readonly platforms: readonly (readonly [name: string, hosts: number])[];
  readonly versions: readonly (readonly [name: string, hosts: number])[];
  /** As in `site=lisbon`. */
  readonly labels: readonly (readonly [name: string, hosts: number])[];
}

/** What counts of one host. */
interface Traits {
  readonly platform: string;
  /** Empty while none was reported. */
  readonly version: string;
  readonly labels: Host["labels"];
  readonly isBehind: boolean;
  readonly isOffline: boolean;
  readonly isFailing: boolean;
}

const versionOrder = new Intl.Collator("en", { numeric: true });

/** No host at all. */
export const EMPTY_TALLY: HostTally = {
  behind: 0,
  offline: 0,
  behindOffline: 0,
  failing: 0,
  platforms: [],
  versions: [],
  labels: [],
};

export class TallyKeeper {
  readonly #platforms = new Map<string, number>();
  readonly #versions = new Map<string, number>();
  readonly #labels = new Map<string, number>();
  #behind = 0;
  #offline = 0;
  #behindOffline = 0;
  #failing = 0;
  /** `undefined` once it no longer holds. */
  #read: HostTally | undefined = EMPTY_TALLY;

  /** One host was `before` and is `after` now. *Shape*: `undefined` for a host that was not, or is no longer, there. */
  replace(before: Host | undefined, after: Host | undefined): void {
    const [was, is] = [traitsOf(before), traitsOf(after)];
    if (was !== undefined && is !== undefined && areAlike(was, is)) return;
    if (was !== undefined) this.#count(was, -1);
    if (is !== undefined) this.#count(is, 1);
    this.#read = undefined;
  }

  /** As it is now: the same object for as long as no count changes. */
  read(): HostTally {
    this.#read ??= {
      behind: this.#behind,
      offline: this.#offline,
      behindOffline: this.#behindOffline,
      failing: this.#failing,
      platforms: byCount(this.#platforms),
      versions: byCount(this.#versions),
      labels: byCount(this.#labels),
    };
    return this.#read;
  }

  #count({ platform, version, labels, isBehind, isOffline, isFailing: isFailed }: Traits, step: 1 | -1): void {
    addTo(this.#platforms, platform, step);
    if (version !== "") addTo(this.#versions, version, step);
    for (const label of labels) addTo(this.#labels, formatLabel(label), step);
    if (isBehind) this.#behind += step;
    if (isOffline) this.#offline += step;
    if (isBehind && isOffline) this.#behindOffline += step;
    if (isFailed) this.#failing += step;
  }
}

function traitsOf(host: Host | undefined): Traits | undefined {
  return host === undefined
    ? undefined
    : {
        platform: host.platform,
        version: host.agentVersion,
        labels: host.labels,
        isBehind: host.updateAvailable,
        isOffline: host.status === HostStatus.OFFLINE,
        isFailing: isFailing(host),
      };
}

function areAlike(a: Traits, b: Traits): boolean {
  return (
    a.platform === b.platform &&
    a.version === b.version &&
    a.labels.length === b.labels.length &&
    a.labels.every(({ key, value }, index) => key === b.labels[index]?.key && value === b.labels[index]?.value) &&
    a.isBehind === b.isBehind &&
    a.isOffline === b.isOffline &&
    a.isFailing === b.isFailing
  );
}

function addTo(counts: Map<string, number>, name: string, step: number): void {
  const count = (counts.get(name) ?? 0) + step;
  if (count === 0) counts.delete(name);
  else counts.set(name, count);
}

function byCount(counts: ReadonlyMap<string, number>): readonly (readonly [string, number])[] {
  return [...counts].toSorted((a, b) => b[1] - a[1] || versionOrder.compare(b[0], a[0]));
}
