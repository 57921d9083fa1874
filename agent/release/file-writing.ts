/** Files of a publisher: whole or not there, and never over one that somebody may need. */
import { open, rename, rm } from "node:fs/promises";
import { OperatorError } from "../operator-error.ts";

/** Who may read a file. */
export type Readers = "owner" | "everybody";

/** Writes a file that must not exist. *Throws* OperatorError when it does. */
export async function writeNewFile(path: string, content: string | Uint8Array, readers: Readers): Promise<void> {
  try {
    await using file = await open(path, "wx", readers === "owner" ? 0o600 : 0o644);
    await file.writeFile(content);
    await file.sync();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    throw new OperatorError(`${path} exists already and is left as it is`, { cause: error });
  }
}

/** Writes a file in the place of another: a reader finds the old one or the new one, whole. */
export async function replaceFile(path: string, content: string | Uint8Array): Promise<void> {
  const temporary = `${path}.new`;
  await rm(temporary, { force: true });
  await writeNewFile(temporary, content, "everybody");
  await rename(temporary, path);
}
