const UNPRINTABLE = /[\p{Cc}\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+/gu;

/** One printable line of at most `maxLength` characters: what a file or program said, fit to be shown and logged. */
export function oneLine(text: string, maxLength: number): string {
  const line = text.toWellFormed().replace(UNPRINTABLE, " ").trim();
  return line.length <= maxLength ? line : `${line.slice(0, maxLength - 1).toWellFormed()}…`;
}

/** A path as failure details carry it. */
export function printablePath(path: string): string {
  return oneLine(path, 1024);
}
