/** Which units and guard a release goes with. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";

const LINE_PATTERN = /^readonly INSTALL_REVISION=([1-9][0-9]{0,8})$/gm;

/**
 * The revision that a checkout's own install script leaves behind, which is what its agent expects of a host. It
 * stands in that script alone.
 *
 * *Throws* Error when the script does not say it once.
 */
export async function readInstallRevision(root: string): Promise<number> {
  const path = join(root, "agent", "install", "install.sh");
  const [line, ...others] = (await readFile(path, "utf8")).matchAll(LINE_PATTERN);
  if (line === undefined || others.length > 0) throw new Error(`${path} does not say its install revision once`);
  return Number(line[1]);
}
