/** What several commands say in the same way. */
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { formatAgo, toMs } from "../../gen/words/times.ts";
import { toneOf, type StateWord } from "../../gen/words/shapes.ts";
import type { Cell } from "./table.ts";
import type { Tint } from "./terminal.ts";
import type { Tool } from "./tool.ts";

const TINTS: Readonly<Record<ReturnType<typeof toneOf>, Tint>> = {
  current: "green",
  behind: "yellow",
  failed: "red",
  progress: "cyan",
  offline: "dim",
};

/** A state in its colour. */
export function stateCell({ shape, word }: StateWord): Cell {
  return { text: word, tint: TINTS[toneOf(shape)] };
}

/** `4 s ago`; `never` for a time that was never set. */
export function ago({ clock }: Pick<Tool, "clock">, time: Timestamp | undefined): string {
  const atMs = toMs(time);
  return atMs === undefined ? "never" : formatAgo(atMs, clock.now().getTime());
}

/** `2026-11-24 17:02:31`, in the zone of this machine; empty for a time that was never set. */
export function moment(time: Timestamp | undefined): string {
  const atMs = toMs(time);
  return atMs === undefined ? "" : MOMENT.format(atMs).replace(",", "");
}

/** The Swedish way is ISO 8601's. */
const MOMENT = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium" });

/** When something ends: `2026-11-24 17:02:31`, or `ended` for what did. */
export function untilWhen({ clock }: Pick<Tool, "clock">, time: Timestamp | undefined): string {
  const atMs = toMs(time);
  if (atMs === undefined) return "";
  return atMs <= clock.now().getTime() ? "ended" : moment(time);
}
