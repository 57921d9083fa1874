/** What WatchFleet has told so far, and a way to wait for what it will tell. */
import type { Host, Job } from "../../gen/rollcall/v1/model_pb.js";
import type { FleetUpdate } from "../../gen/rollcall/v1/rollout_pb.js";
import type { WatchFleetResponse } from "../../gen/rollcall/v1/fleet_pb.js";
import type { FleetClient } from "./fleet-client.ts";

/** The fleet as one stream of WatchFleet has described it. */
export interface FleetView {
  readonly hosts: ReadonlyMap<string, Host>;
  readonly jobs: ReadonlyMap<string, Job>;
  readonly fleetUpdates: ReadonlyMap<string, FleetUpdate>;
}

interface Waiter {
  readonly look: () => boolean;
  readonly fail: (error: unknown) => void;
}

/** One open WatchFleet stream. */
export class FleetWatch implements AsyncDisposable {
  readonly #hosts = new Map<string, Host>();
  readonly #jobs = new Map<string, Job>();
  readonly #fleetUpdates = new Map<string, FleetUpdate>();
  readonly #waiters = new Set<Waiter>();
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;
  #failure: unknown;

  constructor(client: FleetClient) {
    this.#ended = this.#read(client);
  }

  /**
   * Resolves with the first answer of `find` that is not `undefined`. It is asked at once and after each change.
   *
   * *Throws* the stream's error when it ends first, the signal's reason when that is aborted first.
   */
  until<T>(find: (view: FleetView) => T | undefined, signal: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        this.#waiters.delete(waiter);
        signal.removeEventListener("abort", abort);
      };
      const fail = (error: unknown): void => {
        settle();
        reject(error);
      };
      const abort = (): void => fail(signal.reason);
      const look = (): boolean => {
        const found = find({ hosts: this.#hosts, jobs: this.#jobs, fleetUpdates: this.#fleetUpdates });
        if (found === undefined) return false;
        settle();
        resolve(found);
        return true;
      };
      const waiter: Waiter = { look, fail };
      if (look()) return;
      if (this.#failure !== undefined) return fail(this.#failure);
      if (signal.aborted) return abort();
      this.#waiters.add(waiter);
      signal.addEventListener("abort", abort, { once: true });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#ended;
  }

  async #read(client: FleetClient): Promise<void> {
    try {
      for await (const message of client.watchFleet({}, { signal: this.#stop.signal })) {
        this.#apply(message.change);
        for (const waiter of this.#waiters) waiter.look();
      }
      this.#failure = new Error("the server ended WatchFleet");
    } catch (error) {
      this.#failure = error;
    }
    for (const waiter of this.#waiters) waiter.fail(this.#failure);
  }

  #apply(change: WatchFleetResponse["change"]): void {
    switch (change.case) {
      case "snapshot":
        if (change.value.first) this.#hosts.clear();
        for (const host of change.value.hosts) this.#putHost(host);
        break;
      case "host":
        this.#putHost(change.value);
        break;
      case "job":
        this.#jobs.set(change.value.id, change.value);
        break;
      case "fleetUpdate":
        this.#fleetUpdates.set(change.value.id, change.value);
        break;
      case "removedHostId":
        this.#hosts.delete(change.value);
        break;
      default:
        break;
    }
  }

  #putHost(host: Host): void {
    this.#hosts.set(host.id, host);
    if (host.latestJob !== undefined) this.#jobs.set(host.latestJob.id, host.latestJob);
  }
}
