/** How the connection is told on the screen, by how long it has been as it is. */
import type { Connection } from "../fleet/fleet-stream.ts";
import { formatDuration } from "../../../gen/words/quantities.ts";
import { formatClock } from "../../../gen/words/times.ts";

/** What the bar and the rail's foot show. */
export interface ConnectionView {
  readonly state: "connecting" | "live" | "reconnecting" | "lost" | "back";
  readonly word: string;
  /** The bar's text; empty for no bar. */
  readonly sentence: string;
}

/** *Units*: milliseconds. */
const UNNOTICED_MS = 2_000;
const LOST_MS = 10_000;
const BACK_MS = 3_000;

/** `monotonicMs` is now; `heardAtMs` is when the server was last heard, by its own clock. */
export function viewConnection(connection: Connection, monotonicMs: number, heardAtMs: number): ConnectionView {
  switch (connection.kind) {
    case "connecting":
      return { state: "connecting", word: "Connecting", sentence: "" };
    case "refused":
      return { state: "lost", word: "Signed out", sentence: "" };
    case "live": {
      const isBack = connection.backAtMs !== undefined && monotonicMs - connection.backAtMs < BACK_MS;
      return isBack
        ? { state: "back", word: "Live", sentence: "Connected again, up to date." }
        : { state: "live", word: "Live", sentence: "" };
    }
    case "away":
      return viewAway(connection, monotonicMs, heardAtMs);
  }
}

function viewAway(
  { sinceMs, nextTryAtMs }: Extract<Connection, { kind: "away" }>,
  monotonicMs: number,
  heardAtMs: number,
): ConnectionView {
  const awayMs = monotonicMs - sinceMs;
  const heard = heardAtMs === 0 ? "" : formatClock(heardAtMs);
  if (awayMs < UNNOTICED_MS) return { state: "live", word: "Live", sentence: "" };
  if (awayMs < LOST_MS) {
    const showing = heard === "" ? "" : ` Showing ${heard}.`;
    return { state: "reconnecting", word: "Reconnecting", sentence: `Reconnecting.${showing}` };
  }
  const stale = heard === "" ? "" : ` What you see is from ${heard}; running updates go on without this page.`;
  const next =
    nextTryAtMs === undefined
      ? " Trying now."
      : ` Next try in ${formatDuration(Math.max(1000, Math.ceil((nextTryAtMs - monotonicMs) / 1000) * 1000))}.`;
  return {
    state: "lost",
    word: "No connection",
    sentence: `No connection for ${formatDuration(awayMs)}.${stale}${next}`,
  };
}
