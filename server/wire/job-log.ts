const MAX_LINES = 200;
const MAX_CHARACTERS = 1_000;
/** Control characters, and what turns the direction of text. A tab is a blank. */
const UNPRINTABLE = /[\p{Cc}\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/**
 * The lines of a log that a host sent, fit to be stored and shown whatever they hold.
 *
 * *Shape*: at most the last 200, none empty, each at most 1,000 characters; what is no UTF-8 is replaced.
 */
export function readJobLog(log: Uint8Array | undefined): readonly string[] {
  return new TextDecoder()
    .decode(log)
    .split("\n")
    .map((line) =>
      line.replaceAll("\t", "  ").replace(UNPRINTABLE, "").trimEnd().slice(0, MAX_CHARACTERS).toWellFormed(),
    )
    .filter((line) => line !== "")
    .slice(-MAX_LINES);
}
