/** Where a host keeps its trust record. It is replaced whole, never changed in place. */
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { replaceDurably } from "./durable-file.ts";
import { hasErrorCode } from "./system-error.ts";
import { formatTrustRecord, MAX_RECORD_BYTES, parseTrustRecord, type TrustRecord } from "./trust-record.ts";
import type { UpdatePaths } from "./update-paths.ts";

/** What stands where a trust record should be. */
export type TrustReading =
  | { readonly kind: "absent" }
  | { readonly kind: "read"; readonly record: TrustRecord }
  /** Something is there, but it cannot be relied on. `problem` says why, in words. */
  | { readonly kind: "damaged"; readonly problem: string };

/** The place of a trust record. */
export interface TrustFile {
  /** What people call it. */
  readonly path: string;
  read(): Promise<TrustReading>;
  /** Returns once the record is durable. Throws what the system said; the former record then stands. */
  write(record: TrustRecord): Promise<void>;
}

const WRITABLE_BY_OTHERS = 0o022;

/** The trust file in the state directory. */
export function createTrustFile(paths: Pick<UpdatePaths, "trust" | "trustTemporary" | "stateDir">): TrustFile {
  return {
    path: paths.trust,
    read: () => readTrustFile(paths.trust),
    write: (record) => replaceDurably(paths.trust, paths.trustTemporary, paths.stateDir, formatTrustRecord(record)),
  };
}

/** Only a file that is not there is absent: whatever else keeps it from being read might hide a higher floor. */
async function readTrustFile(path: string): Promise<TrustReading> {
  try {
    await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const stats = await file.stat();
    if (!stats.isFile()) throw new Error("it is not a regular file");
    // The mode of a file on Windows says nothing about other users.
    if (process.platform !== "win32" && (stats.mode & WRITABLE_BY_OTHERS) !== 0)
      throw new Error("other users may write it");
    if (stats.size > MAX_RECORD_BYTES)
      throw new Error(`it has ${stats.size} bytes, at most ${MAX_RECORD_BYTES} are read`);
    return { kind: "read", record: parseTrustRecord(await file.readFile("latin1")) };
  } catch (error) {
    if (hasErrorCode(error, "ENOENT")) return { kind: "absent" };
    if (hasErrorCode(error, "ELOOP")) return { kind: "damaged", problem: "it is a symbolic link" };
    return { kind: "damaged", problem: (error as Error).message };
  }
}
