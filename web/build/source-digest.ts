import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** What a built dashboard depends on. The lock file stands for every package. */
const SOURCES = ["web", "gen", "package-lock.json"];

/** One digest over every file that the dashboard is built from. *Shape*: lower-case hex. */
export async function digestSources(root: string): Promise<string> {
  const hash = createHash("sha256");
  for (const path of await listFiles(root)) {
    const bytes = await readFile(join(root, path));
    hash.update(`${path}\0${bytes.length}\0`).update(bytes);
  }
  return hash.digest("hex");
}

async function listFiles(root: string): Promise<readonly string[]> {
  const paths: string[] = [];
  for (const source of SOURCES) {
    if (source.includes(".")) {
      paths.push(source);
      continue;
    }
    const entries = await readdir(join(root, source), { recursive: true, withFileTypes: true });
    for (const entry of entries)
      if (entry.isFile()) paths.push(join(entry.parentPath, entry.name).slice(root.length + 1));
  }
  return paths.toSorted();
}
