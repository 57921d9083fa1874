/**
 * Keeps one WatchFleet stream open for as long as the page is.
 *
 *   connecting → live → away → live …
 *                 └────────┴──→ refused   (the session has ended; the page asks to sign in)
 *
 * The server speaks at least every few seconds; silence for longer means that the line
 * is dead although nobody closed it. After each loss the next try comes a little later,
 * from one second to fifteen, at a random point of that span, so that a server that
 * comes back is not asked by everybody at once. A resume token lets the server go on
 * where the stream ended.
 */
import { Code, ConnectError } from "@connectrpc/connect";
import type { WatchFleetResponse } from "../../../gen/rollcall/v1/fleet_pb.js";
import type { Random } from "../time/browser-random.ts";
import type { Clock } from "../time/browser-clock.ts";

/** How the page stands with the server. *Units*: monotonic milliseconds. */
export type Connection =
  | { readonly kind: "connecting" }
  | {
      readonly kind: "live" /** When it came back from being away; `undefined` the first time. */;
      readonly backAtMs: number | undefined;
    }
  | { readonly kind: "away"; readonly sinceMs: number; readonly nextTryAtMs: number | undefined }
  | { readonly kind: "refused" };

/** What the stream works with. */
export interface FleetStreamParts {
  readonly watch: (resumeToken: string, signal: AbortSignal) => AsyncIterable<WatchFleetResponse>;
  readonly clock: Clock;
  readonly random: Random;
  /** Asked when the server refuses: a new password, for one, ends the old session's streams, and not the new one's. */
  readonly isStillWelcome: () => Promise<boolean>;
  readonly onMessage: (message: WatchFleetResponse) => void;
  readonly onConnection: (connection: Connection) => void;
}

/** *Units*: milliseconds. */
const SILENCE_MS = 15_000;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 15_000;
/** So long at a time messages are taken in: a key that is pressed meanwhile waits no longer. */
const SLICE_MS = 8;

export class FleetStream implements Disposable {
  readonly #parts: FleetStreamParts;
  readonly #ended = new AbortController();
  #connection: Connection = { kind: "connecting" };
  #resumeToken = "";
  #failures = 0;
  #wake: (() => void) | undefined;

  constructor(parts: FleetStreamParts) {
    this.#parts = parts;
  }

  /** Runs until the stream is disposed or refused. */
  async run(): Promise<void> {
    const { clock } = this.#parts;
    while (!this.#ended.signal.aborted) {
      const failure = await this.#openOnce();
      if (this.#ended.signal.aborted) return;
      if (isRefusal(failure) && !(await this.#parts.isStillWelcome())) {
        this.#set({ kind: "refused" });
        return;
      }
      const pauseMs = this.#nextPauseMs();
      const sinceMs = this.#connection.kind === "away" ? this.#connection.sinceMs : clock.monotonicMs();
      this.#set({ kind: "away", sinceMs, nextTryAtMs: clock.monotonicMs() + pauseMs });
      await this.#pause(pauseMs);
      if (this.#connection.kind === "away") this.#set({ kind: "away", sinceMs, nextTryAtMs: undefined });
    }
  }

  /** Does not wait for the next try. */
  tryNow(): void {
    this.#wake?.();
  }

  [Symbol.dispose](): void {
    this.#ended.abort();
    this.#wake?.();
  }

  /** One stream, until it ends. Returns why it did. */
  async #openOnce(): Promise<unknown> {
    const { clock, onMessage, watch } = this.#parts;
    const attempt = new AbortController();
    const stop = (): void => attempt.abort();
    this.#ended.signal.addEventListener("abort", stop, { once: true });
    let watchdog = clock.schedule(SILENCE_MS, stop);
    let sliceBeganAtMs = clock.monotonicMs();
    try {
      for await (const message of watch(this.#resumeToken, attempt.signal)) {
        watchdog[Symbol.dispose]();
        watchdog = clock.schedule(SILENCE_MS, stop);
        this.#failures = 0;
        this.#resumeToken = message.resumeToken;
        onMessage(message);
        // Until then the picture has gaps.
        if (message.change.case === "caughtUp") this.#becameLive();
        // Whatever has arrived would otherwise be taken in at one go, thousands of messages in a storm.
        if (clock.monotonicMs() - sliceBeganAtMs < SLICE_MS) continue;
        await clock.nextTask();
        sliceBeganAtMs = clock.monotonicMs();
      }
      return undefined;
    } catch (error) {
      return error;
    } finally {
      watchdog[Symbol.dispose]();
      this.#ended.signal.removeEventListener("abort", stop);
    }
  }

  #becameLive(): void {
    const { kind } = this.#connection;
    if (kind === "live") return;
    this.#set({ kind: "live", backAtMs: kind === "away" ? this.#parts.clock.monotonicMs() : undefined });
  }

  #nextPauseMs(): number {
    const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#failures);
    this.#failures += 1;
    return longest * (0.5 + this.#parts.random() / 2);
  }

  async #pause(pauseMs: number): Promise<void> {
    let timer: Disposable | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      timer = this.#parts.clock.schedule(pauseMs, resolve);
    });
    timer?.[Symbol.dispose]();
    this.#wake = undefined;
  }

  #set(connection: Connection): void {
    this.#connection = connection;
    this.#parts.onConnection(connection);
  }
}

/** True when another try with the same cookie would end the same way. */
function isRefusal(failure: unknown): boolean {
  if (failure === undefined) return false;
  const { code } = ConnectError.from(failure);
  return code === Code.Unauthenticated || code === Code.PermissionDenied;
}
