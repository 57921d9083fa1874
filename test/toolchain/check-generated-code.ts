import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { repositoryRoot } from "./repository-root.ts";
import { runCommand, type CommandResult } from "./run-command.ts";

const GENERATED = [join("gen", "rollcall"), join("gen", "grpc")];

/** Generates into a temporary folder and compares with what is committed. */
export async function checkGeneratedCode(): Promise<CommandResult> {
  const folder = await mkdtemp(join(tmpdir(), "rollcall-gen-"));
  try {
    const generation = await runCommand("buf", ["generate", "--output", folder]);
    if (!generation.succeeded) return generation;
    const differences: string[] = [];
    for (const generated of GENERATED) {
      const found = await compareFolders(join(folder, generated), join(repositoryRoot, generated));
      differences.push(...found.map((path) => `  ${join(generated, path)}\n`));
    }
    if (differences.length === 0) return { succeeded: true, output: "" };
    const list = differences.join("");
    return { succeeded: false, output: `Not what \`npm run gen\` makes of proto/:\n${list}` };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Paths, relative to either folder, of files that only one has or that differ. */
export async function compareFolders(expected: string, actual: string): Promise<readonly string[]> {
  const paths = new Set([...(await listFiles(expected)), ...(await listFiles(actual))]);
  const differences: string[] = [];
  for (const path of [...paths].toSorted()) {
    const [left, right] = await Promise.all([readIfThere(join(expected, path)), readIfThere(join(actual, path))]);
    if (left === undefined || right === undefined || !left.equals(right)) differences.push(path);
  }
  return differences;
}

async function listFiles(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
