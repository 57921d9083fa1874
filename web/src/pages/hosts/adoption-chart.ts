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
  /** Hosts at the upper edge: the most there were on a day, or a little more. *Shape*: even, so that its half is a count too. */
  readonly top: number;
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
  return { days, bands, top: 2 * roundUp(Math.ceil(Math.max(1, ...totals) / 2)) };
}

/** A number that reads easily and is hardly larger: two figures, and zeros. */
function roundUp(count: number): number {
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(count)) - 1);
  return Math.ceil(count / unit) * unit;
}

/** A band as SVG paths over a field of `width` by `height`: its outline, and its upper edge alone. */
export function bandPaths(
  chart: Chart,
  index: number,
  width: number,
  height: number,
): { readonly area: string; readonly edge: string } {
  const x = (day: number): string => ((day / Math.max(1, chart.days.length)) * width).toFixed(1);
  const y = (hosts: number): string => (height - (hosts / chart.top) * height).toFixed(1);
  const steps = (bands: number): readonly string[] =>
    chart.days.flatMap((_, day) => {
      const level = y(stackedHosts(chart, bands, day));
      return [`${x(day)},${level}`, `${x(day + 1)},${level}`];
    });
  const upper = steps(index + 1);
  return { area: `M${[...upper, ...steps(index).toReversed()].join(" ")}Z`, edge: `M${upper.join(" ")}` };
}

/** Hosts in the lowest `bands` of a day. */
function stackedHosts(chart: Chart, bands: number, day: number): number {
  return chart.bands.slice(0, bands).reduce((sum, { hosts }) => sum + (hosts[day] ?? 0), 0);
}

/**
 * Where the bands' labels stand beside the last day: each at the middle of its band, but never closer to another than
 * `gap`. *Units*: parts of the height, from 0 at the bottom to 1. *Shape*: in the order of the bands.
 */
export function labelPlaces(chart: Chart, gap: number): readonly number[] {
  const last = chart.days.length - 1;
  let free = gap / 2;
  const places = chart.bands.map((_, index) => {
    const middle = (stackedHosts(chart, index, last) + stackedHosts(chart, index + 1, last)) / 2 / chart.top;
    const place = Math.max(free, middle);
    free = place + gap;
    return place;
  });
  // What was pushed out at the top pushes the ones below down.
  let ceiling = 1 - gap / 2;
  return places
    .toReversed()
    .map((place) => {
      const lowered = Math.min(place, ceiling);
      ceiling = lowered - gap;
      return lowered;
    })
    .toReversed();
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
