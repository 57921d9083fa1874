/** Where this machine gets its own packages from: roots of test machines come from there too. */
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mkdtemp, rm } from "node:fs/promises";
import { run } from "../faults/strace-plan.ts";

/** For a machine whose own packages are not Debian's. */
const USUAL_MIRROR = "http://deb.debian.org/debian";
const ENV = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" };

/** The mirror of Debian that this machine's apt uses. */
export async function findDebianMirror(): Promise<string> {
  const format = "$(ORIGIN)\t$(LABEL)\t$(COMPONENT)\t$(SITE)";
  const { stdout } = await run("apt-get", ["indextargets", "--format", format, "Created-By: Packages"], ENV);
  for (const line of stdout.split("\n")) {
    const [origin, label, component, site] = line.split("\t");
    if (origin === "Debian" && label === "Debian" && component === "main" && site !== undefined) return site;
  }
  return USUAL_MIRROR;
}

/** *Shape*: `undefined` when the mirror has this suite, else one line that says what was asked and answered. */
export async function explainNoMirror(mirror: string, suite: string): Promise<string | undefined> {
  const address = `${mirror.replace(/\/$/, "")}/dists/${suite}/InRelease`;
  const folder = await mkdtemp(join(tmpdir(), "rollcall-mirror-"));
  try {
    // Retries would only say later what is not there.
    const words = ["-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=10", "-o", "Acquire::https::Timeout=10"];
    const path = join(folder, "InRelease");
    const { status, stderr } = await run("/usr/lib/apt/apt-helper", [...words, "download-file", address, path], ENV);
    if (status === 0) return undefined;
    // Its last line says no more than that it failed.
    return `${address} cannot be fetched: ${stderr.split("\n").find((line) => line.startsWith("E: "))}`;
  } finally {
    await rm(folder, { recursive: true });
  }
}
