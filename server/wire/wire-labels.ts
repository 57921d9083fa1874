/** Labels as they go on the wire. Each held its rule before it comes here. */
import type { Label as WireLabel } from "../../gen/rollcall/v1/model_pb.js";
import { InvalidFieldError } from "../domain/errors.ts";
import { editLabels, type Labels } from "../domain/labels.ts";

/** Reads labels. *Throws* InvalidFieldError for a key that is named twice; `field` is what the request calls them. */
export function fromWireLabels(labels: readonly WireLabel[], field: string): Labels {
  const seen = new Set<string>();
  for (const [index, { key }] of labels.entries()) {
    if (seen.has(key)) throw new InvalidFieldError(`${field}[${index}].key`, `names ${key} a second time`);
    seen.add(key);
  }
  return editLabels([], { set: labels.map(({ key, value }) => ({ key, value })), remove: [] });
}

/** Writes labels. */
export function toWireLabels(labels: Labels): { key: string; value: string }[] {
  return labels.map((label) => ({ ...label }));
}
