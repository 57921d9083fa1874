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
import type { HostCounts } from "../../../gen/rollcall/v1/model_pb.js";
import type { FleetUpdate } from "../../../gen/rollcall/v1/rollout_pb.js";
import { toMs } from "../../../gen/words/times.ts";
import { EMPTY_FLEET_ROSTER, FleetRoster, type FleetRosterPicture } from "./fleet-roster.ts";

/** An unchanging picture of the fleet. */
export interface FleetPicture extends FleetRosterPicture {
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
  ...EMPTY_FLEET_ROSTER,
  counts: undefined,
  alerts: new Map(),
  fleetUpdates: [],
  isComplete: false,
};

export class FleetModel {
  #roster = new FleetRoster();
  /** A new snapshot while it comes. */
  #arriving: FleetRoster | undefined;
  #counts: HostCounts | undefined;
  #isComplete = false;
  readonly #alerts = new Map<string, Alert>();
  /** A copy of the alerts that never changes; `undefined` once it no longer holds. */
  #alertsShown: ReadonlyMap<string, Alert> | undefined;
  #fleetUpdates: readonly FleetUpdate[] = [];

  /** Takes one message of the stream. */
  apply(message: WatchFleetResponse): void {
    this.#counts = message.counts ?? this.#counts;
    const { change } = message;
    switch (change.case) {
      case "snapshot":
        if (change.value.first) this.#beginSnapshot();
        for (const host of change.value.hosts) this.#arriving?.put(host);
        break;
      case "caughtUp":
        this.#roster = this.#arriving ?? this.#roster;
        this.#arriving = undefined;
        this.#isComplete = true;
        break;
      case "host":
        this.#arriving?.put(change.value);
        if (this.#arriving !== this.#roster) this.#roster.put(change.value);
        break;
      case "removedHostId":
        this.#arriving?.remove(change.value);
        this.#roster.remove(change.value);
        break;
      case "fleetUpdate":
        this.addFleetUpdates([change.value]);
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
    const known = new Map(this.#fleetUpdates.map((update) => [update.id, update]));
    for (const update of updates) {
      if ((toMs(known.get(update.id)?.changedAt) ?? 0) <= (toMs(update.changedAt) ?? 0)) known.set(update.id, update);
    }
    this.#fleetUpdates = [...known.values()].toSorted((a, b) => (toMs(b.createdAt) ?? 0) - (toMs(a.createdAt) ?? 0));
  }

  /** All open alerts, read while the stream was already open; `readAtMs` by the server's clock, before the read. */
  replaceAlerts(alerts: readonly Alert[], readAtMs: number): void {
    const listed = new Set(alerts.map(({ id }) => id));
    for (const [id, alert] of this.#alerts) {
      // What was raised after the read began is not in its answer, and stays.
      if (!listed.has(id) && (toMs(alert.touchedAt) ?? 0) < readAtMs) this.#alerts.delete(id);
    }
    this.#alertsShown = undefined;
    for (const alert of alerts) this.#putAlert(alert);
  }

  /** The fleet as it is now. */
  picture(): FleetPicture {
    this.#alertsShown ??= new Map(this.#alerts);
    return {
      ...this.#roster.picture(),
      counts: this.#counts,
      alerts: this.#alertsShown,
      fleetUpdates: this.#fleetUpdates,
      isComplete: this.#isComplete,
    };
  }

  #beginSnapshot(): void {
    this.#arriving = new FleetRoster();
    // The very first one shows as it comes.
    if (!this.#isComplete) this.#roster = this.#arriving;
  }

  #putAlert(alert: Alert): void {
    if (alert.resolvedAt === undefined) this.#alerts.set(alert.id, alert);
    else this.#alerts.delete(alert.id);
    this.#alertsShown = undefined;
  }
}
