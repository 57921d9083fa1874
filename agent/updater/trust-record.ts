/**
 * What a host remembers of trust, as text: lines `key value`, the last one the
 * sha256 of all before it, so that a damaged floor is never taken for a lower one.
 */
import { hash } from "node:crypto";

/** A key set as it came, with its root's signature. */
export interface SignedKeys {
  readonly bytes: Uint8Array;
  readonly signature: Uint8Array;
}

/** An update that was confirmed on this host. */
export interface Confirmation {
  readonly jobId: string;
  /** Of its release. */
  readonly sequence: number;
}

/** What a host remembers of trust. */
export interface TrustRecord {
  /** Releases of a lower sequence are refused. */
  readonly sequenceFloor: number;
  /** The one that was counted last. It is not counted again: a key set may have lowered the floor since. */
  readonly confirmed: Confirmation | undefined;
  /** The newest key set that was accepted. */
  readonly keys: SignedKeys | undefined;
}

/** A host that was told nothing yet. */
export const FIRST_RECORD: TrustRecord = {
  sequenceFloor: 0,
  confirmed: undefined,
  keys: undefined,
};

/** *Units*: bytes. The largest key set and its signature in base64 are well below it. */
export const MAX_RECORD_BYTES = 128 * 1024;

const BODY_PATTERN =
  /^format 1\nfloor (\d{1,16})\n(?:confirmed ([\x21-\x7e]{1,128}) (\d{1,16})\n)?(?:keys ([0-9A-Za-z+/=]+)\nsignature ([0-9A-Za-z+/=]+)\n)?$/;
const DIGEST_LINE_PATTERN = /sha256 ([0-9a-f]{64})\n$/;

/** The text of a record. */
export function formatTrustRecord(record: TrustRecord): string {
  const { sequenceFloor, confirmed, keys } = record;
  const lines = ["format 1", `floor ${sequenceFloor}`];
  if (confirmed !== undefined) lines.push(`confirmed ${confirmed.jobId} ${confirmed.sequence}`);
  if (keys !== undefined) lines.push(`keys ${encode(keys.bytes)}`, `signature ${encode(keys.signature)}`);
  const body = `${lines.join("\n")}\n`;
  return `${body}sha256 ${hash("sha256", body)}\n`;
}

/** Reads a record back. *Throws* Error that says what is wrong with the text. */
export function parseTrustRecord(text: string): TrustRecord {
  const digestLine = DIGEST_LINE_PATTERN.exec(text);
  if (digestLine === null) throw new Error("it is torn or was not written by an agent");
  const body = text.slice(0, digestLine.index);
  if (hash("sha256", body) !== digestLine[1]) throw new Error("it does not have the sha256 that it names");
  const fields = BODY_PATTERN.exec(body);
  if (fields === null) throw new Error("it is in a form that this agent does not know");
  const [, floor, jobId, sequence, keys, signature] = fields;
  return {
    sequenceFloor: readSequence(floor),
    confirmed: jobId === undefined ? undefined : { jobId, sequence: readSequence(sequence) },
    keys: keys === undefined ? undefined : { bytes: decode(keys), signature: decode(signature) },
  };
}

function readSequence(digits = ""): number {
  const sequence = Number(digits);
  if (!Number.isSafeInteger(sequence)) throw new Error(`${digits} is no sequence`);
  return sequence;
}

function encode(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}

function decode(text = ""): Buffer {
  return Buffer.from(text, "base64");
}
