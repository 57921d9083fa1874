/** Which version how many hosts ran, day by day, as stacked steps. Counts change at once, so there are no slopes. */
import type { VersionAdoption } from "../../../../gen/rollcall/v1/catalog_pb.js";

/** One band of the chart. */
export interface Band {
  readonly label: string;
  /** How it is drawn: the target, one of the next newest, or all older ones together. */
  readonly kind: "target" | "recent" | "older";
  /** From 0 for the newest that is not the target. */
  readonly rank: number;
  /** Hosts a day, in the order of the days. */
  readonly hosts: readonly number[];
}

/** What the chart draws. */
export interface Chart {
  readonly days: readonly string[];
  /** From the bottom up. */
  readonly bands: readonly Band[];
  readonly most: number;
}

const RECENT = 3;
const byVersion = new Intl.Collator("en", { numeric: true });

/** Gathers the server's notes. `target` may be empty. */
export function toChart(notes: readonly VersionAdoption[], target: string): Chart {
  const days = [...new Set(notes.map(({ day }) => day))].toSorted();
  const versions = [...new Set(notes.filter(({ hosts }) => hosts > 0).map(({ version }) => version))]
    .filter((version) => version !== target)
    .toSorted((a, b) => byVersion.compare(b, a));
  const countsOf = (names: readonly string[]): number[] =>
    days.map((day) =>
      notes
        .filter((note) => note.day === day && names.includes(note.version))
        .reduce((sum, { hosts }) => sum + hosts, 0),
    );
  const older = versions.slice(RECENT);
  const bands: Band[] = [
    ...(target === "" ? [] : [{ label: target, kind: "target" as const, rank: 0, hosts: countsOf([target]) }]),
    ...versions
      .slice(0, RECENT)
      .map((label, rank) => ({ label, kind: "recent" as const, rank, hosts: countsOf([label]) })),
    ...(older.length === 0 ? [] : [{ label: "older", kind: "older" as const, rank: RECENT, hosts: countsOf(older) }]),
  ];
  const totals = days.map((_, index) => bands.reduce((sum, { hosts }) => sum + (hosts[index] ?? 0), 0));
  return { days, bands, most: Math.max(1, ...totals) };
}

/** Outline of a band as an SVG path over a field of `width` by `height`. */
export function bandPath(chart: Chart, index: number, width: number, height: number): string {
  const below = chart.days.map((_, day) =>
    chart.bands.slice(0, index).reduce((sum, { hosts }) => sum + (hosts[day] ?? 0), 0),
  );
  const own = chart.bands[index]?.hosts ?? [];
  const x = (day: number): string => ((day / Math.max(1, chart.days.length)) * width).toFixed(1);
  const y = (hosts: number): string => (height - (hosts / chart.most) * height).toFixed(1);
  const upper = own.map(
    (hosts, day) => `${x(day)},${y((below[day] ?? 0) + hosts)} ${x(day + 1)},${y((below[day] ?? 0) + hosts)}`,
  );
  const lower = below.map((hosts, day) => `${x(day + 1)},${y(hosts)} ${x(day)},${y(hosts)}`).toReversed();
  return `M${upper.join(" ")} ${lower.join(" ")}Z`;
}

/** The chart in one sentence. */
export function chartSentence(chart: Chart, span: number): string {
  const last = chart.days.length - 1;
  const now = chart.bands.map(({ label, hosts }) => `${hosts[last] ?? 0} on ${label}`).join(", ");
  return `Hosts a version over ${span} days. Now: ${now === "" ? "none" : now}.`;
}

/** One day of the chart in words: the target, then from the newest version to the oldest. */
export function daySentence(chart: Chart, index: number, label: string): string {
  const parts = chart.bands.flatMap(({ label: version, hosts }) =>
    (hosts[index] ?? 0) === 0 ? [] : [`${hosts[index]} on ${version}`],
  );
  return `${label}: ${parts.length === 0 ? "no host" : parts.join(", ")}`;
}

/** The day at a place of the chart. `place` is 0 at its left edge and 1 at its right. */
export function dayAt(chart: Chart, place: number): number {
  return Math.max(0, Math.min(chart.days.length - 1, Math.floor(place * chart.days.length)));
}
