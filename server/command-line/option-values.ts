/** Values of options, read. Each *throws* CommandError that names the value. */
import { InvalidArgumentError } from "commander";
import type { Role } from "../../gen/rollcall/v1/options_pb.js";
import { splitLabel, type LabelWords } from "../../gen/labels.ts";
import { ROLES } from "../../gen/words/role-words.ts";

const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** `90s`, `15m`, `2h` or `30d`. *Units*: seconds. */
export function parseDuration(text: string): number {
  const [, digits, unit = ""] = /^([1-9][0-9]{0,8})([smhd])$/.exec(text) ?? [];
  if (digits === undefined) throw new InvalidArgumentError("It looks like 90s, 15m, 2h or 30d.");
  return Number(digits) * (UNIT_SECONDS[unit] ?? 1);
}

/** A whole number, 0 included. */
export function parseCount(text: string): number {
  if (!/^[0-9]{1,9}$/.test(text)) throw new InvalidArgumentError("It must be a whole number.");
  return Number(text);
}

/** `viewer`, `operator` or `admin`. */
export function parseRole(text: string): Role {
  const role = ROLES.find(({ word }) => word === text)?.role;
  if (role === undefined) throw new InvalidArgumentError(`It is one of ${ROLE_WORDS.join(", ")}.`);
  return role;
}

/** The roles' names. */
export const ROLE_WORDS: readonly string[] = ROLES.map(({ word }) => word);

/** One more `key=value`, after those that were given before. */
export function parseLabel(text: string, before: readonly LabelWords[] = []): readonly LabelWords[] {
  const label = splitLabel(text);
  if (label === undefined) throw new InvalidArgumentError("It looks like site=lisbon.");
  return [...before, label];
}
