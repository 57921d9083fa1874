/** The filters that are on, each with the view that is left without it. */
import { EVERY_HOST, type HostQuery } from "./host-query.ts";

/** One filter that somebody chose. */
export interface ActiveFilter {
  readonly label: string;
  readonly without: HostQuery;
}

/** What the fixed filters are called. */
const FILTER_WORDS = {
  behind: "Behind",
  failing: "Failing",
  updating: "Updating",
  online: "Online",
  offline: "Offline",
} as const;

type Choices = "updates" | "status" | "platforms" | "versions" | "labels";

/** In the order in which the page offers them; the search first. */
export function activeFilters(view: HostQuery): readonly ActiveFilter[] {
  const listed = <Key extends Choices>(key: Key, label: (word: HostQuery[Key][number]) => string): ActiveFilter[] =>
    view[key].map((word) => ({
      label: label(word),
      without: { ...view, [key]: view[key].filter((one) => one !== word) },
    }));
  return [
    ...(view.search === "" ? [] : [{ label: `'${view.search}'`, without: { ...view, search: "" } }]),
    ...(view.isArchived ? [{ label: "Archived", without: { ...view, isArchived: false } }] : []),
    ...listed("updates", (word) => FILTER_WORDS[word]),
    ...listed("status", (word) => FILTER_WORDS[word]),
    ...listed("platforms", (word) => word),
    ...listed("versions", (word) => word),
    ...listed("labels", (word) => word),
  ];
}

/** The view without any filter, in the same order. */
export function withoutFilters({ sort, isDescending }: HostQuery): HostQuery {
  return { ...EVERY_HOST, sort, isDescending };
}
