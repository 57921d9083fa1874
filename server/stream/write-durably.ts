import { open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * Replaces the file at `path` by `text`: after a crash it holds the old text or
 * the new one, whole. Nobody but the owner can read it before `mode` says so.
 */
export async function writeDurably(path: string, text: string, mode: number): Promise<void> {
  const temporary = `${path}.tmp`;
  await rm(temporary, { force: true });
  {
    await using file = await open(temporary, "wx", mode);
    await file.writeFile(text);
    await file.chmod(mode);
    await file.sync();
  }
  await rename(temporary, path);
  await using folder = await open(dirname(path), "r");
  await folder.sync();
}
