/** Which tests may be skipped on the system that continuous integration runs on. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

const LIST = join(import.meta.dirname, "allowed-skips.txt");

/** The committed list: `<file>` or `<file> > <name>`, one a line; `#` begins a comment. */
export function readAllowedSkips(): readonly string[] {
  return parseAllowedSkips(readFileSync(LIST, "utf8"));
}

/** Lines of the list without comments and blanks. */
export function parseAllowedSkips(text: string): readonly string[] {
  return text
    .split("\n")
    .map((line) => line.replace(/(?:^|\s)#.*$/, "").trim())
    .filter((line) => line !== "");
}

/** The skipped tests that no entry of the list names, by itself or by a group or file around it. */
export function findForbiddenSkips(skipped: readonly string[], allowed: readonly string[]): readonly string[] {
  return skipped.filter((name) => !allowed.some((entry) => name === entry || name.startsWith(`${entry} > `)));
}
