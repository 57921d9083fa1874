/**
 * Which hosts are shown, and in which order: read from the address, so that a view can
 * be sent to somebody, kept as a bookmark, and gone back to.
 */
import { formatLabel, splitLabel } from "../../../gen/labels.ts";
import { nameOf } from "../../../gen/words/host-name.ts";
import { HostStatus, type Host } from "../../../gen/rollcall/v1/model_pb.js";
import { isFailure, isOpen } from "../../../gen/words/job-words.ts";
import { toMs } from "../../../gen/words/times.ts";

/** Filters by what is wrong, or going on. */
export const UPDATE_FILTERS = ["behind", "failing", "updating"] as const;
export type UpdateFilter = (typeof UPDATE_FILTERS)[number];
export const STATUS_FILTERS = ["online", "offline"] as const;
export type StatusFilter = (typeof STATUS_FILTERS)[number];
export const SORT_KEYS = ["name", "platform", "version", "status", "last_seen"] as const;
export type SortKey = (typeof SORT_KEYS)[number];

/** The whole of a view. */
export interface HostQuery {
  readonly search: string;
  readonly updates: readonly UpdateFilter[];
  readonly status: readonly StatusFilter[];
  readonly platforms: readonly string[];
  readonly versions: readonly string[];
  /** As in `site=lisbon`; a host has all of them. */
  readonly labels: readonly string[];
  /** Archived hosts, and no others. */
  readonly isArchived: boolean;
  readonly sort: SortKey;
  readonly isDescending: boolean;
}

/** Every host, by name. */
export const EVERY_HOST: HostQuery = {
  search: "",
  updates: [],
  status: [],
  platforms: [],
  versions: [],
  labels: [],
  isArchived: false,
  sort: "name",
  isDescending: false,
};

/** Reads a view from an address's query. Values that nobody knows are left out. */
export function readHostQuery(query: URLSearchParams): HostQuery {
  const sort = query.get("sort") ?? "name";
  const key = SORT_KEYS.find((name) => name === sort.replace(/^-/, ""));
  return {
    search: query.get("q")?.trim() ?? "",
    updates: listOf(query, "updates", UPDATE_FILTERS),
    status: listOf(query, "status", STATUS_FILTERS),
    platforms: wordsOf(query, "platform"),
    versions: wordsOf(query, "version"),
    labels: wordsOf(query, "label").filter((label) => splitLabel(label) !== undefined),
    isArchived: query.get("archived") === "yes",
    sort: key ?? "name",
    isDescending: key !== undefined && sort.startsWith("-"),
  };
}

/** The query part of an address that shows this view. Defaults are left out. *Shape*: empty, or begins with `?`. */
export function writeHostQuery(view: HostQuery): string {
  const query = new URLSearchParams();
  const put = (name: string, values: readonly string[]): void => {
    if (values.length > 0) query.set(name, values.join(","));
  };
  put("updates", view.updates);
  put("status", view.status);
  put("platform", view.platforms);
  put("version", view.versions);
  put("label", view.labels);
  if (view.isArchived) query.set("archived", "yes");
  if (view.search !== "") query.set("q", view.search);
  const sort = `${view.isDescending ? "-" : ""}${view.sort}`;
  if (sort !== "name") query.set("sort", sort);
  const text = query.toString().replaceAll("%2C", ",").replaceAll("%3D", "=");
  return text === "" ? "" : `?${text}`;
}

function listOf<Word extends string>(query: URLSearchParams, name: string, known: readonly Word[]): readonly Word[] {
  const given = wordsOf(query, name);
  return known.filter((word) => given.includes(word));
}

function wordsOf(query: URLSearchParams, name: string): readonly string[] {
  return [...new Set((query.get(name) ?? "").split(",").filter((word) => word !== ""))];
}

/** True when a view shows less than every host. */
export function isFiltered(view: HostQuery): boolean {
  return (
    view.search !== "" ||
    view.isArchived ||
    [view.updates, view.status, view.platforms, view.versions, view.labels].some((list) => list.length > 0)
  );
}

/** True while a host's last update went wrong and nothing has overtaken that. */
export function isFailing(host: Host): boolean {
  const job = host.latestJob;
  return job !== undefined && isFailure(job.state) && host.agentVersion !== job.toVersion;
}

const UPDATE_TESTS: Readonly<Record<UpdateFilter, (host: Host) => boolean>> = {
  behind: (host) => host.updateAvailable,
  failing: isFailing,
  updating: (host) => host.latestJob !== undefined && isOpen(host.latestJob.state),
};

/** The hosts that a view shows, in its order. `ordered` is by name already, and archived where the view asks for that. */
export function selectHosts(ordered: readonly Host[], view: HostQuery): readonly Host[] {
  if (!isFiltered(view)) return sortHosts(ordered, view);
  const words = view.search.toLowerCase().split(/\s+/).filter(Boolean);
  const found = ordered.filter(
    (host) =>
      (view.updates.length === 0 || view.updates.some((filter) => UPDATE_TESTS[filter](host))) &&
      (view.status.length === 0 || view.status.includes(host.status === HostStatus.ONLINE ? "online" : "offline")) &&
      (view.platforms.length === 0 || view.platforms.includes(host.platform)) &&
      (view.versions.length === 0 || view.versions.includes(host.agentVersion)) &&
      hasLabels(host, view.labels) &&
      words.every((word) => isCalled(host, word)),
  );
  return sortHosts(found, view);
}

/** Whether a host has all of these, as in `site=lisbon`. */
export function hasLabels(host: Host, labels: readonly string[]): boolean {
  return labels.every((wanted) => host.labels.some((label) => formatLabel(label) === wanted));
}

function isCalled(host: Host, word: string): boolean {
  return (
    host.hostname.toLowerCase().includes(word) || nameOf(host).toLowerCase().includes(word) || host.id.startsWith(word)
  );
}

/** What the rows of a column are ordered by: one number a host. Words are compared once for each that there is, not for each host. */
const SORT_NUMBERS: Readonly<Record<Exclude<SortKey, "name">, (hosts: readonly Host[]) => readonly number[]>> = {
  platform: (hosts) => rankWords(hosts.map(({ platform }) => platform)),
  version: (hosts) =>
    rankWords(
      hosts.map(({ agentVersion }) => agentVersion),
      byNumbers.compare,
    ),
  status: (hosts) => hosts.map(({ status }) => status),
  last_seen: (hosts) => hosts.map((host) => -lastSeen(host)),
};

const byNumbers = new Intl.Collator("en", { numeric: true });

function rankWords(words: readonly string[], compare?: (a: string, b: string) => number): readonly number[] {
  const ranks = new Map([...new Set(words)].toSorted(compare).map((word, rank) => [word, rank]));
  return words.map((word) => ranks.get(word) ?? 0);
}

function lastSeen(host: Host): number {
  return host.status === HostStatus.ONLINE ? Number.MAX_SAFE_INTEGER : (toMs(host.lastSeenAt) ?? 0);
}

function sortHosts(hosts: readonly Host[], { sort, isDescending }: HostQuery): readonly Host[] {
  if (sort === "name") return isDescending ? hosts.toReversed() : hosts;
  // Stable: hosts that are alike stay by name, whichever way.
  const sign = isDescending ? -1 : 1;
  const numbers = SORT_NUMBERS[sort](hosts);
  return hosts
    .map((host, place) => ({ host, number: sign * (numbers[place] ?? 0) }))
    .toSorted((a, b) => a.number - b.number)
    .map(({ host }) => host);
}
