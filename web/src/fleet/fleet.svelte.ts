/**
 * The fleet as the page draws it. Changes are gathered and drawn together at most
 * five times a second, so that a storm of them costs no more than a breeze.
 */
import type { FleetUpdate } from "../../../gen/rollcall/v1/rollout_pb.js";
import { FleetUpdateState } from "../../../gen/rollcall/v1/rollout_pb.js";
import type { Api } from "../api.ts";
import type { Clock } from "../time/browser-clock.ts";
import type { Random } from "../time/browser-random.ts";
import type { ServerTime } from "../time/server-time.svelte.ts";
import { toMs } from "../../../gen/words/times.ts";
import { EMPTY_PICTURE, FleetModel, type FleetPicture } from "./fleet-model.ts";
import { FleetStream, type Connection } from "./fleet-stream.ts";

/** *Units*: milliseconds between two drawings. */
const DRAW_MS = 200;

/** What the fleet is watched with. */
export interface FleetParts {
  readonly api: Api;
  readonly clock: Clock;
  readonly random: Random;
  readonly time: ServerTime;
  /** Asked when the server refuses the stream: is there still a session? */
  readonly isStillWelcome: () => Promise<boolean>;
}

export class Fleet implements Disposable {
  readonly #parts: FleetParts;
  readonly #model = new FleetModel();
  readonly #stream: FleetStream;
  #wasReadBeside = false;
  #drawing: Disposable | undefined;
  #drawnAtMs = Number.NEGATIVE_INFINITY;
  #picture: FleetPicture = $state.raw(EMPTY_PICTURE);
  connection: Connection = $state.raw({ kind: "connecting" });
  /** Alerts and fleet updates were told once; before that, none of them means nothing. */
  isReadBeside: boolean = $state(false);
  /** The server's time of the newest message: what the page shows is of then. */
  heardAtMs: number = $state(0);

  readonly hosts = $derived(this.#picture.hosts);
  readonly ordered = $derived(this.#picture.ordered);
  readonly archived = $derived(this.#picture.archived);
  readonly counts = $derived(this.#picture.counts);
  readonly tally = $derived(this.#picture.tally);
  readonly alerts = $derived(this.#picture.alerts);
  readonly isComplete = $derived(this.#picture.isComplete);
  readonly fleetUpdates = $derived(this.#picture.fleetUpdates);
  /** The version that the fleet should run; empty while none is set or no host is known. */
  readonly targetVersion: string = $derived(this.#picture.ordered[0]?.targetVersion ?? "");
  readonly runningUpdate: FleetUpdate | undefined = $derived(
    this.#picture.fleetUpdates.find(({ state }) => state === FleetUpdateState.RUNNING),
  );
  readonly isLive: boolean = $derived(this.connection.kind === "live");

  constructor(parts: FleetParts) {
    this.#parts = parts;
    const { api, clock, random, time } = parts;
    this.#stream = new FleetStream({
      watch: (resumeToken, signal) => api.fleet.watchFleet({ resumeToken }, { signal }),
      clock,
      random,
      isStillWelcome: parts.isStillWelcome,
      onMessage: (message) => {
        const serverMs = toMs(message.serverTime);
        if (serverMs !== undefined) time.set(serverMs);
        this.#model.apply(message);
        this.#scheduleDrawing();
      },
      onConnection: (connection) => this.#connected(connection),
    });
  }

  /** Watches until this is disposed. */
  run(): Promise<void> {
    return this.#stream.run();
  }

  /** Does not wait for the next try to connect. */
  tryNow(): void {
    this.#stream.tryNow();
  }

  [Symbol.dispose](): void {
    this.#stream[Symbol.dispose]();
    this.#drawing?.[Symbol.dispose]();
  }

  #connected(connection: Connection): void {
    this.connection = connection;
    // The stream begins with hosts only; alerts and fleet updates are asked for beside it.
    if (connection.kind === "live") void this.#readBeside();
  }

  async #readBeside(): Promise<void> {
    const { api, time } = this.#parts;
    const readAtMs = time.read();
    const [alerts, updates] = await Promise.allSettled([
      api.fleet.listAlerts({ openOnly: true, pageSize: 1000 }),
      api.fleet.listFleetUpdates({ pageSize: 20 }),
    ]);
    // A failed read is made good by the next connection, which a lost one brings anyway.
    if (alerts.status === "fulfilled") this.#model.replaceAlerts(alerts.value.alerts, readAtMs);
    if (updates.status === "fulfilled") this.#model.addFleetUpdates(updates.value.fleetUpdates);
    this.#wasReadBeside ||= alerts.status === "fulfilled" && updates.status === "fulfilled";
    this.#scheduleDrawing();
  }

  #scheduleDrawing(): void {
    if (this.#drawing !== undefined) return;
    const sinceMs = this.#parts.clock.monotonicMs() - this.#drawnAtMs;
    this.#drawing = this.#parts.clock.schedule(Math.max(0, DRAW_MS - sinceMs), () => {
      this.#drawing = undefined;
      this.#drawnAtMs = this.#parts.clock.monotonicMs();
      this.#picture = this.#model.picture();
      this.isReadBeside = this.#wasReadBeside;
      this.heardAtMs = this.#parts.time.read();
    });
  }
}
