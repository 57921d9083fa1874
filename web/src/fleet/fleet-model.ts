/**
 * The fleet as the server tells it: a snapshot in parts, then every change. Kept
 * outside of any view; a view takes an unchanging picture of it when it is time to draw.
 *
 * A new snapshot on top of a known fleet is gathered aside and takes the old one's
 * place once it is complete, so that no host vanishes for a moment. The very first one
 * shows as it comes.
 */
import type { Alert } from "../../../gen/rollcall/v1/attention_pb.js";
import type { WatchFleetResponse } from "../../../gen/rollcall/v1/fleet_pb.js";
import type { Host, HostCounts } from "../../../gen/rollcall/v1/model_pb.js";
import type { FleetUpdate } from "../../../gen/rollcall/v1/rollout_pb.js";
import { toMs } from "../words/times.ts";

/** An unchanging picture of the fleet. */
export interface FleetPicture {
  readonly hosts: ReadonlyMap<string, Host>;
  /** By hostname, then id. */
  readonly ordered: readonly Host[];
  readonly counts: HostCounts | undefined;
  /** Those that are open. */
  readonly alerts: ReadonlyMap<string, Alert>;
  /** Newest first. */
  readonly fleetUpdates: readonly FleetUpdate[];
  /** True once every host is here. */
  readonly isComplete: boolean;
}

/** What nobody knows anything of yet. */
export const EMPTY_PICTURE: FleetPicture = {
  hosts: new Map(),
  ordered: [],
  counts: undefined,
  alerts: new Map(),
  fleetUpdates: [],
  isComplete: false,
};

/** By hostname as people read numbers in it, then id. */
const byName = new Intl.Collator("en", { numeric: true });

/** Orders hosts by name, then id. */
export function compareHosts(a: Host, b: Host): number {
  return byName.compare(a.hostname, b.hostname) || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}

export class FleetModel {
  #hosts = new Map<string, Host>();
  /** A new snapshot while it comes. */
  #arriving: Map<string, Host> | undefined;
  #counts: HostCounts | undefined;
  #isComplete = false;
  readonly #alerts = new Map<string, Alert>();
  readonly #fleetUpdates = new Map<string, FleetUpdate>();
  #ordered: readonly Host[] = [];
  /** Hosts that changed in place since `#ordered` was made. */
  readonly #touched = new Set<string>();
  #isOrderStale = false;

  /** Takes one message of the stream. */
  apply(message: WatchFleetResponse): void {
    this.#counts = message.counts ?? this.#counts;
    const { change } = message;
    switch (change.case) {
      case "snapshot":
        if (change.value.first) this.#arriving = new Map();
        for (const host of change.value.hosts) this.#arriving?.set(host.id, host);
        if (!this.#isComplete) this.#showArriving();
        break;
      case "caughtUp":
        if (this.#arriving !== undefined) this.#showArriving();
        this.#arriving = undefined;
        this.#isComplete = true;
        break;
      case "host":
        this.#arriving?.set(change.value.id, change.value);
        this.#putHost(change.value);
        break;
      case "removedHostId":
        this.#arriving?.delete(change.value);
        if (this.#hosts.delete(change.value)) this.#isOrderStale = true;
        break;
      case "fleetUpdate":
        this.#putFleetUpdate(change.value);
        break;
      case "alert":
        this.#putAlert(change.value);
        break;
      case "job":
      case undefined:
        // A job's host follows with the job in it; a message without a change tells the time.
        break;
    }
  }

  /** What the stream does not begin with. Whatever it told since is newer. */
  addFleetUpdates(updates: readonly FleetUpdate[]): void {
    for (const update of updates) this.#putFleetUpdate(update);
  }

  /** All open alerts, read while the stream was already open; `readAtMs` by the server's clock, before the read. */
  replaceAlerts(alerts: readonly Alert[], readAtMs: number): void {
    const listed = new Set(alerts.map(({ id }) => id));
    for (const [id, alert] of this.#alerts) {
      // What was raised after the read began is not in its answer, and stays.
      if (!listed.has(id) && (toMs(alert.touchedAt) ?? 0) < readAtMs) this.#alerts.delete(id);
    }
    for (const alert of alerts) this.#putAlert(alert);
  }

  /** The fleet as it is now. */
  picture(): FleetPicture {
    this.#bringOrderUpToDate();
    return {
      hosts: new Map(this.#hosts),
      ordered: this.#ordered,
      counts: this.#counts,
      alerts: new Map(this.#alerts),
      fleetUpdates: [...this.#fleetUpdates.values()].toSorted(
        (a, b) => (toMs(b.createdAt) ?? 0) - (toMs(a.createdAt) ?? 0),
      ),
      isComplete: this.#isComplete,
    };
  }

  #showArriving(): void {
    this.#hosts = new Map(this.#arriving);
    this.#isOrderStale = true;
  }

  #putHost(host: Host): void {
    const known = this.#hosts.get(host.id);
    this.#hosts.set(host.id, host);
    if (known?.hostname === host.hostname) this.#touched.add(host.id);
    else this.#isOrderStale = true;
  }

  #putFleetUpdate(update: FleetUpdate): void {
    const known = this.#fleetUpdates.get(update.id);
    if (known === undefined || (toMs(known.changedAt) ?? 0) <= (toMs(update.changedAt) ?? 0))
      this.#fleetUpdates.set(update.id, update);
  }

  #putAlert(alert: Alert): void {
    if (alert.resolvedAt === undefined) this.#alerts.set(alert.id, alert);
    else this.#alerts.delete(alert.id);
  }

  #bringOrderUpToDate(): void {
    if (this.#isOrderStale) {
      this.#ordered = [...this.#hosts.values()].toSorted(compareHosts);
    } else if (this.#touched.size > 0) {
      this.#ordered = this.#ordered.map((host) =>
        this.#touched.has(host.id) ? (this.#hosts.get(host.id) ?? host) : host,
      );
    }
    this.#touched.clear();
    this.#isOrderStale = false;
  }
}
