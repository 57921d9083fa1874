/** The files that make a data directory this installation's, and nobody else's. */
import { mkdir, readdir, readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { writeDurably } from "../stream/write-durably.ts";
import type { KeptFile } from "./backup-records.ts";

/** Files of the data directory itself; all of `tls` comes with them. */
const DATA_FILES = ["credential.key", "admin-token", "replica-id"] as const;
const TLS_FOLDER = "tls";
const PERMISSIONS = 0o777;

/** Reads them. What was not made yet is left out. */
export async function readKeptFiles(places: {
  readonly dataDir: string;
  readonly rootKeysPath: string;
}): Promise<readonly KeptFile[]> {
  const tls = await readdir(join(places.dataDir, TLS_FOLDER), { withFileTypes: true }).catch(nothingIfMissing);
  const certificates = (tls ?? [])
    .filter((entry) => entry.isFile() && !entry.name.endsWith(".tmp"))
    .map(({ name }) => `${TLS_FOLDER}/${name}`);
  const data = await Promise.all(
    [...DATA_FILES, ...certificates].map((path) => readKept("data", path, join(places.dataDir, path))),
  );
  const roots = await readKept("rootKeys", "roots.pub", places.rootKeysPath);
  return [...data, roots].filter((file) => file !== undefined);
}

async function readKept(place: KeptFile["place"], path: string, from: string): Promise<KeptFile | undefined> {
  const text = await readFile(from, "utf8").catch(nothingIfMissing);
  return text === undefined ? undefined : { place, path, mode: (await stat(from)).mode & PERMISSIONS, text };
}

/** Writes one. A publisher's root keys that are there already stay as they are. */
export async function writeKeptFile(
  file: KeptFile,
  places: { readonly dataDir: string; readonly rootKeysPath: string },
): Promise<void> {
  const path = file.place === "data" ? join(places.dataDir, file.path) : places.rootKeysPath;
  if (file.place === "rootKeys" && (await stat(path).catch(nothingIfMissing)) !== undefined) return;
  await mkdir(dirname(path), { recursive: true, mode: file.place === "data" ? 0o700 : 0o755 });
  await writeDurably(path, file.text, file.mode);
}

function nothingIfMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
}
