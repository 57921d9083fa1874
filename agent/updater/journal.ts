/**
 * The journal: what this host is in the middle of, on disk.
 *
 * It is written after the predecessor is kept as `.old` and before the new
 * binary takes its place, so `unconfirmed` alone does not say which of the two
 * stands at the path: a reader compares the binary's sha256 with `from` and `to`.
 *
 *     unconfirmed ─┬─▶ confirmed     the new version was welcomed by a server
 *                  ├─▶ rolled_back   the guard put `.old` back
 *                  └─▶ failed        the swap did not take place
 *
 * A shell reads it as well, hence lines of `key value` that end in a line `end`.
 * A file without that line, with a key too many, too few or unknown, or with any
 * other format number means: do nothing. It is replaced whole, never changed.
 * The agent and the guard may both want to leave `unconfirmed`; verdict.ts says
 * who may.
 */
import { readShortFile, replaceDurably } from "./durable-file.ts";
import type { UpdatePaths } from "./update-paths.ts";

const STATES = ["unconfirmed", "confirmed", "rolled_back", "failed"] as const;

/** Where the last update on this host stands. */
export type JournalState = (typeof STATES)[number];

/** What is remembered of the last update. */
export interface Journal {
  readonly state: JournalState;
  readonly jobId: string;
  /** sha256 of the binary that was replaced, lower-case hex. */
  readonly fromSha256: string;
  /** sha256 of the binary that replaces it, lower-case hex. */
  readonly toSha256: string;
  readonly fromVersion: string;
  readonly toVersion: string;
  /** sequence of the release's manifest. */
  readonly sequence: number;
  /** The boot in which it became unconfirmed. */
  readonly bootId: string;
  /** *Units*: milliseconds since that boot. */
  readonly uptimeMs: number;
  /** One word; NO_REASON while nothing went wrong. */
  readonly reason: string;
}

/** The reason of a journal in which nothing went wrong: no value may be empty. */
export const NO_REASON = "none";

const FORMAT = "1";
const MAX_JOURNAL_BYTES = 4096;
const VALUE_PATTERN = /^[0-9A-Za-z.+_-]{1,128}$/;
const DIGEST_PATTERN = /^[0-9a-f]{64}$/;
const COUNT_PATTERN = /^(?:0|[1-9][0-9]{0,15})$/;
const KEYS = [
  "format",
  "state",
  "job",
  "from",
  "to",
  "from_version",
  "to_version",
  "sequence",
  "boot_id",
  "uptime_ms",
  "reason",
] as const;

/** The journal's text. *Throws* Error that names the value which the format cannot hold. */
export function formatJournal(journal: Journal): string {
  const values: Readonly<Record<(typeof KEYS)[number], string>> = {
    format: FORMAT,
    state: journal.state,
    job: journal.jobId,
    from: journal.fromSha256,
    to: journal.toSha256,
    from_version: journal.fromVersion,
    to_version: journal.toVersion,
    sequence: String(journal.sequence),
    boot_id: journal.bootId,
    uptime_ms: String(journal.uptimeMs),
    reason: journal.reason,
  };
  const text = `${KEYS.map((key) => `${key} ${values[key]}`).join("\n")}\nend\n`;
  if (parseJournal(text) === undefined) throw new Error(`the journal cannot hold ${JSON.stringify(values)}`);
  return text;
}

/** Reads a journal's text. *Shape*: `undefined` for one that is torn or unknown. */
export function parseJournal(text: string): Journal | undefined {
  const lines = text.split("\n");
  if (lines.pop() !== "" || lines.pop() !== "end" || lines.length !== KEYS.length) return undefined;
  const values = new Map<string, string>();
  for (const line of lines) {
    const space = line.indexOf(" ");
    const value = line.slice(space + 1);
    if (space < 1 || !VALUE_PATTERN.test(value)) return undefined;
    values.set(line.slice(0, space), value);
  }
  const [format, state, jobId, fromSha256, toSha256, fromVersion, toVersion, sequence, bootId, uptimeMs, reason] =
    KEYS.map((key) => values.get(key) ?? "") as unknown as StringsOf<typeof KEYS>;
  if (values.size !== KEYS.length || format !== FORMAT || !isState(state) || jobId === "" || reason === "")
    return undefined;
  if (!DIGEST_PATTERN.test(fromSha256) || !DIGEST_PATTERN.test(toSha256) || bootId === "") return undefined;
  if (!COUNT_PATTERN.test(sequence) || !COUNT_PATTERN.test(uptimeMs) || fromVersion === "" || toVersion === "")
    return undefined;
  if (!Number.isSafeInteger(Number(sequence)) || !Number.isSafeInteger(Number(uptimeMs))) return undefined;
  return {
    state,
    jobId,
    fromSha256,
    toSha256,
    fromVersion,
    toVersion,
    sequence: Number(sequence),
    bootId,
    uptimeMs: Number(uptimeMs),
    reason,
  };
}

/** Reads the journal on disk. *Shape*: `undefined` when there is none that can be understood. */
export async function readJournal(paths: UpdatePaths): Promise<Journal | undefined> {
  const text = await readShortFile(paths.journal, MAX_JOURNAL_BYTES);
  return text === undefined ? undefined : parseJournal(text);
}

/** Replaces the journal on disk, durably. */
export async function writeJournal(paths: UpdatePaths, journal: Journal): Promise<void> {
  await replaceDurably(paths.journal, paths.journalTemporary, paths.stateDir, formatJournal(journal));
}

type StringsOf<Names extends readonly string[]> = { readonly [Index in keyof Names]: string };

function isState(text: string): text is JournalState {
  return (STATES as readonly string[]).includes(text);
}
