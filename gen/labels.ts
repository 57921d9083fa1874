/** Labels as people write them, as in `site=lisbon, role=web`. What a label may hold is said by the rules of `Label` in the proto. */

/** What somebody says of a host. */
export interface LabelWords {
  readonly key: string;
  readonly value: string;
}

/** As in `site=lisbon`. */
export function formatLabel({ key, value }: LabelWords): string {
  return `${key}=${value}`;
}

/** As in `role=web, site=lisbon`. */
export function formatLabels(labels: readonly LabelWords[]): string {
  return labels.map(formatLabel).join(", ");
}

/** Splits one label at its first `=`. *Shape*: `undefined` without one. Nothing else is checked. */
export function splitLabel(text: string): LabelWords | undefined {
  const at = text.indexOf("=");
  return at === -1 ? undefined : { key: text.slice(0, at).trim(), value: text.slice(at + 1).trim() };
}

/** Every piece between commas that is not empty. */
export function splitList(text: string): readonly string[] {
  return text
    .split(",")
    .map((piece) => piece.trim())
    .filter((piece) => piece !== "");
}
