/**
 * A host as the updater finds it, and what must hold on it after any
 * interruption.
 *
 * It runs version 1, which an earlier update brought in place of version 0: so
 * there is an `.old`, a confirmed journal and a verdict already, and an updater
 * or a guard that reaches for the wrong `.old` is seen.
 */
import { mkdir, mkdtemp, open, realpath, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { syncFolder } from "../../agent/updater/durable-file.ts";
import { formatJournal, readJournal, type Journal } from "../../agent/updater/journal.ts";
import { createTrustFile } from "../../agent/updater/trust-file.ts";
import { openTrustStore, type TrustStore } from "../../agent/updater/trust-store.ts";
import { updatePaths, type UpdatePaths } from "../../agent/updater/update-paths.ts";
import type { Artifact } from "../../agent/updater/update-platform.ts";
import { BLOCK_BYTES, describeArtifact, digestOf } from "../agent/updater/update-fixture.ts";
import { verdictPath } from "../../agent/updater/verdict.ts";
import { TEST_PUBLISHER } from "../support/test-release.ts";
import type { FaultCase } from "./campaign.ts";
import type { Flaw, HarnessOrder } from "./harness-order.ts";
import { buildSuccessor, damageFile, listMissing } from "./related-versions.ts";
import { run, type Fault, type RunEnd } from "./strace-plan.ts";

interface Version {
  readonly bytes: Buffer;
  readonly artifact: Artifact;
}

/** What all hosts of a campaign share: the program in one file and the versions it installs. */
export interface UpdaterKit extends AsyncDisposable {
  readonly folder: string;
  readonly program: string;
  readonly versions: readonly [Version, Version, Version, Version];
  readonly tally: LeftoverTally;
}

/** What came of the stages that interruptions left. Every other one is damaged before the next attempt. */
interface LeftoverTally {
  sound: number;
  damaged: number;
  /** Blocks that a next attempt had because of one. */
  savedBlocks: number;
}

const EARLIER_JOB = "00000000-0000-4000-8000-000000000001";
const JOB = "00000000-0000-4000-8000-000000000002";
const LATER_JOB = "00000000-0000-4000-8000-000000000003";

/** Bundles the harness, so that its start costs little, and writes the versions down. */
export async function createUpdaterKit(): Promise<UpdaterKit> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), "rollcall-faults-")));
  const program = join(folder, "harness.mjs");
  await build({
    entryPoints: [new URL("updater-harness.ts", import.meta.url).pathname],
    outfile: program,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node24",
    logLevel: "error",
  });
  const create = async (version: string, predecessor?: Version): Promise<Version> => {
    const bytes = buildSuccessor(version, predecessor?.bytes);
    await writeFile(join(folder, version), bytes);
    return { bytes, artifact: describeArtifact(bytes, version) };
  };
  const first = await create("0.0.0");
  const second = await create("1.0.0", first);
  const third = await create("2.0.0", second);
  const versions = [first, second, third, await create("3.0.0", third)] as const;
  const tally = { sound: 0, damaged: 0, savedBlocks: 0 };
  return { folder, program, versions, tally, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}

/** A fresh host below `parent`, every byte of it durable, about to update from version 1 to version 2. */
export async function prepareUpdaterHost(
  kit: UpdaterKit,
  parent = kit.folder,
  flaw?: Flaw,
): Promise<FaultCase & { readonly host: UpdaterHost }> {
  const host = await installHost(kit, parent, 1);
  return describeCase(kit, host, host.order(JOB, 1, 2, { flaw }));
}

/** A fresh host like that, on which an earlier attempt at version 2 left a part of it. */
export async function prepareResumingHost(kit: UpdaterKit): Promise<FaultCase> {
  const prepared = await prepareUpdaterHost(kit);
  await prepared.host.leavePartOf(2);
  return prepared;
}

/** A fresh host that was just updated to version 2 and is about to be told that this is good. */
export async function prepareConfirmingHost(kit: UpdaterKit, parent = kit.folder): Promise<FaultCase> {
  const host = await installHost(kit, parent, 2);
  return describeCase(kit, host, host.order(JOB, 2, 3, { isConfirmOnly: true }));
}

async function installHost(kit: UpdaterKit, parent: string, running: 1 | 2): Promise<UpdaterHost> {
  const root = await mkdtemp(join(parent, "host-"));
  const host = new UpdaterHost(kit, root, updatePaths(join(root, "bin", "agent"), join(root, "state")));
  await host.install(running);
  return host;
}

function describeCase(
  kit: UpdaterKit,
  host: UpdaterHost,
  order: HarnessOrder,
): FaultCase & { readonly host: UpdaterHost } {
  const { root } = host;
  return {
    host,
    root,
    subject: {
      command: process.execPath,
      args: [kit.program, JSON.stringify(order)],
      env: {},
      paths: Object.values(host.paths),
    },
    findProblems: (fault, end) => host.findProblems(fault, end),
    [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }),
  };
}

/** The files of one host and the questions about them. */
export class UpdaterHost {
  readonly paths: UpdatePaths;
  /** Holds all of them. */
  readonly root: string;
  readonly #kit: UpdaterKit;

  constructor(kit: UpdaterKit, root: string, paths: UpdatePaths) {
    this.#kit = kit;
    this.root = root;
    this.paths = paths;
  }

  /** Version 1 as a finished update left it, or version 2 as a swap does. */
  async install(running: 1 | 2): Promise<void> {
    const [before, now] = [this.#kit.versions[running === 1 ? 0 : 1], this.#kit.versions[running]];
    const journal: Journal = {
      state: running === 1 ? "confirmed" : "unconfirmed",
      jobId: running === 1 ? EARLIER_JOB : JOB,
      fromSha256: before.artifact.sha256,
      toSha256: now.artifact.sha256,
      fromVersion: before.artifact.version,
      toVersion: now.artifact.version,
      sequence: running,
      bootId: "boot",
      uptimeMs: 1,
      reason: "none",
    };
    await mkdir(this.paths.folder, { mode: 0o700 });
    await mkdir(this.paths.stateDir, { mode: 0o700 });
    await writeDurably(this.paths.binary, now.bytes, 0o755);
    await writeDurably(this.paths.old, before.bytes, 0o755);
    await writeDurably(this.paths.journal, Buffer.from(formatJournal(journal)), 0o600);
    const verdict = `decision confirmed\njob ${EARLIER_JOB}\nreason none\nend\n`;
    if (running === 1) await writeDurably(verdictPath(this.paths, EARLIER_JOB), Buffer.from(verdict), 0o600);
    for (const folder of [this.paths.folder, this.paths.stateDir, this.root, join(this.root, "..")]) {
      await syncFolder(folder);
    }
  }

  /** All blocks but the first and the last, the last one's place filled with something else. */
  async leavePartOf(version: 2): Promise<void> {
    const left = Buffer.from(this.#kit.versions[version].bytes);
    left.fill(0, 0, BLOCK_BYTES).fill(1, 6 * BLOCK_BYTES);
    await writeDurably(this.paths.staged, Buffer.concat([left, Buffer.alloc(BLOCK_BYTES)]), 0o700);
  }

  order(jobId: string, from: 1 | 2, to: 2 | 3, extra: Pick<HarnessOrder, "flaw" | "isConfirmOnly"> = {}): HarnessOrder {
    const { artifact } = this.#kit.versions[to];
    return {
      binaryPath: this.paths.binary,
      stateDir: this.paths.stateDir,
      configPath: join(this.root, "agent.json"),
      ownVersion: this.#kit.versions[from].artifact.version,
      artifactPath: join(this.#kit.folder, artifact.version),
      artifact,
      jobId,
      ...extra,
    };
  }

  /** First as the interruption left it; then a guard's and a next start's view; then a second attempt, to what is still missing. */
  async findProblems(fault: Fault | "none", end: RunEnd): Promise<readonly string[]> {
    const running = await this.#versionAt(this.paths.binary);
    const old = await this.#versionAt(this.paths.old);
    const journal = await readJournal(this.paths);
    const problems: string[] = [];
    if (running !== 1 && running !== 2) return [`the binary is ${describeVersion(running)}`];
    if (old === undefined) problems.push("`.old` is not whole");
    if (running === 2 && old !== 1) problems.push(`version 2 stands, and \`.old\` is ${describeVersion(old)}`);
    if (journal === undefined) problems.push("the journal cannot be read");
    const { problem } = await this.#readTrust();
    if (problem !== undefined) problems.push(problem);
    if (running === 2 && (journal?.jobId !== JOB || journal.toSha256 !== this.#kit.versions[2].artifact.sha256))
      problems.push("version 2 stands, and the journal does not say so");
    if (running === 2 && fault !== "kill" && end.status === 3 && !end.stdout.includes("is in place"))
      problems.push("version 2 stands, and the failure did not say so");
    if (end.status === 0 && running !== 2) problems.push("it reported success, and version 1 stands");
    if (fault !== "kill" && end.status === 1 && end.stdout.includes('"settled"'))
      problems.push(`it failed without a reason: ${end.stderr}`);
    const said = await run(this.paths.binary, [], {});
    if (said.stdout !== `${this.#kit.versions[running].artifact.version}\n`)
      problems.push(`the binary does not run: ${said.status ?? said.signal}`);
    return [...problems, ...(await this.#findProblemsOfNextStart(running, journal))];
  }

  async #findProblemsOfNextStart(running: 1 | 2, journal: Journal | undefined): Promise<readonly string[]> {
    const target = running === 1 ? 2 : 3;
    const missing = await this.#judgeLeftover(target);
    const next = await run(
      process.execPath,
      [this.#kit.program, JSON.stringify(this.order(LATER_JOB, running, target))],
      {},
    );
    const problems: string[] = [];
    if (!next.stdout.includes(`"missing":${JSON.stringify(missing)}`))
      problems.push(`the second attempt did not fetch exactly blocks ${missing.join(", ")}: ${next.stdout}`);
    if (next.status !== 0)
      problems.push(`the next start ended with ${next.status ?? next.signal}: ${next.stdout}${next.stderr}`);
    if ((await this.#versionAt(this.paths.binary)) !== target)
      problems.push(`the second attempt did not bring version ${target}`);
    if ((await this.#versionAt(this.paths.old)) !== running)
      problems.push("after the second attempt `.old` is not its predecessor");
    const expected = expectedReports(running, journal);
    if (!expected.some((report) => next.stdout.includes(report)))
      problems.push(`the next start did not report ${expected.join(" or ")}: ${next.stdout}`);
    const trust = await this.#readTrust();
    if (trust.problem === undefined && (trust.sequenceFloor !== running || trust.keysSequence !== 1))
      problems.push(`the next start refuses what is below ${trust.sequenceFloor}, with keys ${trust.keysSequence}`);
    for (const leftover of [this.paths.staged, this.paths.oldTemporary, this.paths.journalTemporary]) {
      if (await isThere(leftover)) problems.push(`${leftover} was left`);
    }
    return problems;
  }

  /** *Shape*: the blocks of `target` that stand nowhere on this host. */
  async #judgeLeftover(target: 2 | 3): Promise<readonly number[]> {
    const { tally, versions } = this.#kit;
    const { binary, staged } = this.paths;
    if (await isThere(staged)) {
      const isDamaged = tally.damaged < tally.sound;
      if (isDamaged) await damageFile(staged, 5);
      tally[isDamaged ? "damaged" : "sound"] += 1;
    }
    const { bytes } = versions[target];
    const missing = await listMissing(bytes, [binary, staged]);
    tally.savedBlocks += (await listMissing(bytes, [binary])).length - missing.length;
    return missing;
  }

  #readTrust(): Promise<TrustStore> {
    return openTrustStore(createTrustFile(this.paths), {
      roots: TEST_PUBLISHER.rootKeys,
      sequence: 0,
      keysSequence: 0,
    });
  }

  async #versionAt(path: string): Promise<0 | 1 | 2 | 3 | undefined> {
    const digest = await digestOf(path);
    const index = this.#kit.versions.findIndex((version) => version.artifact.sha256 === digest);
    return index < 0 ? undefined : (index as 0 | 1 | 2 | 3);
  }
}

/** What the next start must say of the last update, given what it finds: one of these. */
function expectedReports(running: 1 | 2, journal: Journal | undefined): readonly string[] {
  if (journal?.jobId !== JOB) return [`"jobId":"${EARLIER_JOB}","outcome":"succeeded"`];
  if (running === 1 || journal.state === "failed") return [`"jobId":"${JOB}","outcome":"failed"`];
  const succeeded = `"jobId":"${JOB}","outcome":"succeeded"`;
  // An agent that was stopped while it confirmed may have decided already, or not.
  return journal.state === "confirmed" ? [succeeded] : [succeeded, `{"event":"confirmed","isConfirmed":true}`];
}

function describeVersion(version: number | undefined): string {
  return version === undefined ? "missing or not whole" : `version ${version}`;
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

async function writeDurably(path: string, bytes: Buffer, mode: number): Promise<void> {
  await using file = await open(path, "w", mode);
  await file.write(bytes, 0, bytes.length, 0);
  await file.sync();
}
