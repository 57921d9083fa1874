/** Instants as people read them, against the server's clock. */
import type { Timestamp } from "@bufbuild/protobuf/wkt";

/** *Units*: milliseconds since 1970. *Shape*: `undefined` for a time that was never set. */
export function toMs(time: Timestamp | undefined): number | undefined {
  return time === undefined ? undefined : Number(time.seconds) * 1000 + Math.floor(time.nanos / 1_000_000);
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** `4 s ago`, `2 min ago`, `2 h ago`, `3 d ago`, `18 Nov`, `18 Nov 2025`. */
export function formatAgo(atMs: number, nowMs: number, locale = "en-GB"): string {
  const ageMs = Math.max(0, nowMs - atMs);
  if (ageMs < 1_500) return "just now";
  if (ageMs < MINUTE_MS) return `${Math.floor(ageMs / 1000)} s ago`;
  if (ageMs < HOUR_MS) return `${Math.floor(ageMs / MINUTE_MS)} min ago`;
  if (ageMs < DAY_MS) return `${Math.floor(ageMs / HOUR_MS)} h ago`;
  if (ageMs < 7 * DAY_MS) return `${Math.floor(ageMs / DAY_MS)} d ago`;
  return formatDay(atMs, nowMs, locale);
}

/** `18 Nov`, with the year when it is another than now's. */
export function formatDay(atMs: number, nowMs: number, locale = "en-GB"): string {
  const sameYear = new Date(atMs).getFullYear() === new Date(nowMs).getFullYear();
  return new Intl.DateTimeFormat(locale, {
    day: "numeric",
    month: "short",
    ...(sameYear ? {} : { year: "numeric" }),
  }).format(atMs);
}

/** `14:02:31`. */
export function formatClock(atMs: number, locale = "en-GB"): string {
  return new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(atMs);
}

/** Date, time and zone, for who wants to know exactly. */
export function formatExact(atMs: number, locale = "en-GB"): string {
  return new Intl.DateTimeFormat(locale, { dateStyle: "full", timeStyle: "long" }).format(atMs);
}

/** `14:02` today, else `18 Nov, 14:02`. */
export function formatMoment(atMs: number, nowMs: number, locale = "en-GB"): string {
  const clock = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit" }).format(atMs);
  const isToday = new Date(atMs).toDateString() === new Date(nowMs).toDateString();
  return isToday ? clock : `${formatDay(atMs, nowMs, locale)}, ${clock}`;
}
