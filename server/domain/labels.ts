/** What somebody says of a host, for people and for choosing hosts by it. */
export interface Label {
  readonly key: string;
  readonly value: string;
}

/** By key, each key once. */
export type Labels = readonly Label[];

/** A host has no more. */
export const MOST_LABELS = 32;

/** What is to become of a host's labels: some are taken away, then others are set. */
export interface LabelEdit {
  readonly set: Labels;
  readonly remove: readonly string[];
}

/** The labels after an edit, by key. */
export function editLabels(labels: Labels, edit: LabelEdit): Labels {
  const kept = labels.filter(({ key }) => !edit.remove.includes(key));
  return [...new Map([...kept, ...edit.set].map((label) => [label.key, label])).values()].toSorted((a, b) =>
    a.key < b.key ? -1 : 1,
  );
}
