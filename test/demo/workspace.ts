import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A folder of one run, readable by its owner alone, deleted when it is disposed. */
export interface Workspace extends AsyncDisposable {
  readonly path: string;
}

/** Makes a folder under the system's temporary folder. */
export async function createWorkspace(prefix: string): Promise<Workspace> {
  const path = await mkdtemp(join(tmpdir(), prefix));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
