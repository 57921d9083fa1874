/**
 * The first line of a backup, and the key that its chunks are sealed with.
 *
 *     rollcall-backup 1 open KEY          the key itself: anybody may read it, and nothing of it is damaged unseen
 *     rollcall-backup 1 passphrase SALT   the key is derived from a passphrase
 *
 * Each backup has a key of its own, so that nonces can be counted.
 *
 * *Source*: RFC 7914 (scrypt).
 */
import { scrypt } from "node:crypto";
import type { Random } from "../domain/clock.ts";
import { BackupError } from "./backup-error.ts";

/** How a backup begins, and what opens the rest. */
export interface BackupKey {
  /** The first line, with its end. */
  readonly line: string;
  readonly key: Uint8Array;
}

/** *Units*: bytes that the first line has at most. */
export const LONGEST_LINE = 128;

const KEY_BYTES = 32;
const SALT_BYTES = 16;
/** A guess costs 128 MiB and a third of a second. They belong to format 1. */
const COST = { N: 2 ** 17, r: 8, p: 1, maxmem: 2 ** 28 };
const LINE = /^rollcall-backup (\d+) (open|passphrase) ([0-9a-f]{32}|[0-9a-f]{64})$/;

/** Makes a fresh key; without a passphrase it stands in the file. */
export async function makeBackupKey(passphrase: string | undefined, random: Random): Promise<BackupKey> {
  if (passphrase === undefined) {
    const key = random.bytes(KEY_BYTES);
    return { line: `rollcall-backup 1 open ${Buffer.from(key).toString("hex")}\n`, key };
  }
  const salt = random.bytes(SALT_BYTES);
  return {
    line: `rollcall-backup 1 passphrase ${Buffer.from(salt).toString("hex")}\n`,
    key: await deriveKey(passphrase, salt),
  };
}

/**
 * Reads the first line of a file.
 *
 * *Throws* BackupError for what is no backup, is of another format, or needs a passphrase that was not given.
 */
export async function readBackupKey(path: string, line: string, passphrase: string | undefined): Promise<BackupKey> {
  const [, format, kind, hex] = LINE.exec(line.trimEnd()) ?? [];
  if (hex === undefined) throw new BackupError(`${path} is no backup of Rollcall. Nothing was changed.`);
  if (format !== "1")
    throw new BackupError(
      `${path} is of format ${format}, and this server reads format 1. Nothing was changed. ` +
        "Restore it with the version that wrote it, or a newer one.",
    );
  const bytes = Buffer.from(hex, "hex");
  if (kind === "open") return { line, key: bytes };
  if (passphrase !== undefined) return { line, key: await deriveKey(passphrase, bytes) };
  throw new BackupError(
    `${path} is encrypted. Nothing was changed. Give its passphrase by --passphrase-file or ROLLCALL_BACKUP_PASSPHRASE.`,
  );
}

function deriveKey(passphrase: string, salt: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) =>
    scrypt(passphrase.normalize("NFC"), salt, KEY_BYTES, COST, (error, key) =>
      error === null ? resolve(key) : reject(error),
    ),
  );
}
