/**
 * What stands in a backup, a line each: arrays tell what follows, objects are rows of
 * the table that was named last.
 *
 *     ["manifest", {…}]   first
 *     ["file", {…}]       keys and certificates
 *     ["table", {…}]      then its rows, as PostgreSQL writes them in JSON
 *     ["sequence", {…}]
 *     ["end", {…}]        last
 */
import type { SequenceValue, TableLayout } from "../store/dump-tables.ts";

/** What a backup says about itself. */
export interface BackupManifest {
  /** ISO 8601, by the clock of the machine that wrote it. */
  readonly takenAt: string;
  /** Version of the server that wrote it. */
  readonly serverVersion: string;
  /** The migrations that its database had, in order. */
  readonly migrations: readonly string[];
  /** A server ran meanwhile: what was open went on after the backup. */
  readonly wasServed: boolean;
  /** The settings that it was written with, by their variables. */
  readonly settings: Readonly<Record<string, string>>;
}

/** A file of the installation. */
export interface KeptFile {
  /** Below the data directory; `rootKeys` stands where ROLLCALL_ROOT_KEYS says. */
  readonly place: "data" | "rootKeys";
  /** *Shape*: relative, with `/`. */
  readonly path: string;
  readonly mode: number;
  readonly text: string;
}

/** Counts by which a reader knows that it saw everything. */
export interface BackupEnd {
  readonly rows: number;
}

/** One thing in a backup. */
export type BackupRecord =
  | { readonly kind: "manifest"; readonly manifest: BackupManifest }
  | { readonly kind: "file"; readonly file: KeptFile }
  | { readonly kind: "table"; readonly table: TableLayout }
  /** Rows of the table named last. */
  | { readonly kind: "rows"; readonly rows: readonly string[] }
  | { readonly kind: "sequence"; readonly sequence: SequenceValue }
  | { readonly kind: "end"; readonly end: BackupEnd };

/** Lines of a record, each with its end. */
export function encodeRecord(record: BackupRecord): string {
  switch (record.kind) {
    case "manifest":
      return line(["manifest", record.manifest]);
    case "file":
      return line(["file", record.file]);
    case "table":
      return line(["table", record.table]);
    case "rows":
      return record.rows.map((row) => `${row}\n`).join("");
    case "sequence":
      return line(["sequence", record.sequence]);
    case "end":
      return line(["end", record.end]);
  }
}

function line(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}

/** Reads a line that is no row. It was sealed by a server, so its shape is taken as given. *Throws* SyntaxError. */
export function decodeRecord(text: string): BackupRecord {
  const [kind, content] = JSON.parse(text) as readonly [string, unknown];
  switch (kind) {
    case "manifest":
      return { kind, manifest: content as BackupManifest };
    case "file":
      return { kind, file: content as KeptFile };
    case "table":
      return { kind, table: content as TableLayout };
    case "sequence":
      return { kind, sequence: content as SequenceValue };
    case "end":
      return { kind, end: content as BackupEnd };
    default:
      throw new SyntaxError(`an unknown kind of line: ${kind}`);
  }
}
