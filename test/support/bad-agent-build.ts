/** A release of the agent whose sources were changed, trusted by the builds of the demo. */
import { cp, mkdtemp, readFile, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readDevelopmentPublisher } from "../../agent/build/publisher.ts";
import { buildRelease } from "../../agent/build/release.ts";
import { TARGETS } from "../../agent/build/target.ts";
import { systemBench } from "../../agent/release/system-bench.ts";
import { repositoryRoot } from "../toolchain/repository-root.ts";

/** What to build, where, and what of `agent/run.ts` is something else in it. */
export interface BadBuildOrder {
  readonly version: string;
  readonly sequence: number;
  readonly releasesDir: string;
  readonly replaced: string;
  readonly by: string;
}

/** Builds it. Throws Error when the sources do not hold what is to be replaced. */
export async function buildBadAgent({ version, sequence, releasesDir, replaced, by }: BadBuildOrder): Promise<void> {
  const root = await realpath(await mkdtemp(join(tmpdir(), "rollcall-bad-agent-")));
  try {
    for (const name of ["agent", "gen", "package.json"])
      await cp(join(repositoryRoot, name), join(root, name), { recursive: true });
    await symlink(join(repositoryRoot, "node_modules"), join(root, "node_modules"));
    const path = join(root, "agent", "run.ts");
    const text = await readFile(path, "utf8");
    if (!text.includes(replaced)) throw new Error(`agent/run.ts does not hold ${replaced}`);
    await writeFile(path, text.replace(replaced, by));
    await buildRelease({
      root,
      releasesDir,
      version,
      sequence,
      targets: [TARGETS["linux-x64"]],
      publisher: await readDevelopmentPublisher(repositoryRoot, systemBench),
      permittedFloor: 0,
      createdAt: new Date("2026-01-01T00:00:00Z"),
    });
  } finally {
    await rm(root, { recursive: true });
  }
}
