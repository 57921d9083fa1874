import { readFile } from "node:fs/promises";
import { OperatorError } from "../operator-error.ts";

/** The content of a file that a verb was given. *Throws* OperatorError that names it. */
export async function readInput(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new OperatorError(`${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}
