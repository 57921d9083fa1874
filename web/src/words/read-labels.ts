/** Labels that somebody typed. */
import { splitLabel, splitList, type LabelWords } from "../../../gen/labels.ts";

/** What was typed, or what is wrong with it. The server says what else a label may not hold. */
export type TypedLabels = { readonly labels: LabelWords[]; readonly problem: "" } | { readonly problem: string };

/** Reads `role=web, site=lisbon`. */
export function readLabels(text: string): TypedLabels {
  const labels: LabelWords[] = [];
  for (const piece of splitList(text)) {
    const label = splitLabel(piece);
    if (label === undefined) return { problem: `'${piece}' is no label: write a key and a value, as in site=lisbon.` };
    labels.push(label);
  }
  return { labels, problem: "" };
}
