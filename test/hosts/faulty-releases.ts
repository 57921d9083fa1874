/**
 * The releases of a fleet of hosts: both builds of the agent, and faulty ones in the
 * same publisher's name.
 *
 * A faulty release that is to reach a host's path has to pass its probe. So these are
 * programs that answer `--probe` as the agent does, and are no good as a service. What
 * the agent itself finds out beforehand is here too, to show that it does.
 */
import { copyFile, mkdir, readFile, symlink } from "node:fs/promises";
import { join } from "node:path";
import { readDevelopmentPublisher } from "../../agent/build/publisher.ts";
import { systemBench } from "../../agent/release/system-bench.ts";
import type { AgentBuilds } from "../demo/agent-builds.ts";
import { writeTestRelease } from "../support/test-release.ts";
import { buildTinyElf, type TinyElf } from "../support/tiny-elf.ts";
import { repositoryRoot } from "../toolchain/repository-root.ts";

/** What is wrong with a release. */
export type Fault = keyof typeof PROGRAMS | "truncated" | "mislabelled";

const ARM64 = 183;
const PROGRAMS = {
  /** Ends at once, with status 1. */
  exits: { whenRun: { exit: 1 } },
  /** Ends at once, with status 0. */
  leaves: { whenRun: { exit: 0 } },
  /** Never connects, though it could. */
  hangs: { whenRun: "hang" },
  /** Never connects, and says that it can't. */
  isolated: { whenRun: "hang", isCutOff: true },
  /** For another processor. */
  foreign: { machine: ARM64 },
} as const satisfies Readonly<Record<string, Partial<TinyElf>>>;
const SIZE_BYTES = 100_000;
/** The builds have the two before. */
const FIRST_SEQUENCE = 3;

/** The version that a faulty release goes by. */
export function faultyVersion(fault: Fault): string {
  return `9.0.0-${fault}`;
}

/** Lays out both builds, and a release for each of these faults. */
export async function prepareReleases(
  releasesDir: string,
  { older, newer }: AgentBuilds,
  faults: readonly Fault[],
): Promise<void> {
  await mkdir(releasesDir);
  for (const { releasesDir: built, version } of [older, newer])
    await symlink(join(built, version), join(releasesDir, version));
  const { signingKey, folder } = await readDevelopmentPublisher(repositoryRoot, systemBench);
  const keySet = { bytes: folder.keys, signature: folder.keysSignature };
  for (const [index, fault] of faults.entries()) {
    const artifact = await buildArtifact(fault, newer.binaryPath);
    const release = { version: faultyVersion(fault), sequence: FIRST_SEQUENCE + index, artifact };
    await writeTestRelease(releasesDir, { ...release, signedBy: signingKey, keySet });
  }
  await copyFile(join(newer.releasesDir, "roots.pub"), join(releasesDir, "roots.pub"));
}

async function buildArtifact(fault: Fault, goodPath: string): Promise<Buffer> {
  if (fault === "mislabelled") return await readFile(goodPath);
  if (fault === "truncated") {
    const good = await readFile(goodPath);
    return good.subarray(0, good.length / 2);
  }
  return buildTinyElf({ prints: `${faultyVersion(fault)}\n`, sizeBytes: SIZE_BYTES, ...PROGRAMS[fault] });
}
