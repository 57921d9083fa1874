/** A host right after a swap from 1.0.0 to 2.0.0, and the guard's script as its units run it. */
import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readBootMoment } from "../../../agent/updater/boot-moment.ts";
import { formatJournal, type Journal } from "../../../agent/updater/journal.ts";
import { createLinuxPlatform } from "../../../agent/updater/linux-platform.ts";
import { createTrustFile } from "../../../agent/updater/trust-file.ts";
import { openTrustStore } from "../../../agent/updater/trust-store.ts";
import { updatePaths, type UpdatePaths } from "../../../agent/updater/update-paths.ts";
import type { UpdatePlatform } from "../../../agent/updater/update-platform.ts";
import { run, type RunEnd } from "../../faults/strace-plan.ts";
import { TEST_PUBLISHER } from "../../support/test-release.ts";
import { buildTinyElf } from "../../support/tiny-elf.ts";
import { sha256 } from "../updater/update-fixture.ts";
import { realClock } from "../updater/real-clock.ts";

/** The script itself. */
export const GUARD = new URL("../../../agent/guard/guard.sh", import.meta.url).pathname;

/** The update that these hosts are in. */
export const JOB = "0b5ad7e2-4c56-4e2b-9d3e-2b9d3c6f1a10";

/** *Units*: milliseconds; what the guard waits for. */
export const PATIENCE_MS = 45_000;

/** What a host is like. */
export interface GuardHostOptions {
  /** Replaces values of the journal. */
  readonly journal?: Partial<Journal>;
  /** How long ago the swap was. *Units*: milliseconds; past the guard's patience when left out. */
  readonly ageMs?: number;
  /** The program that was replaced, which the guard asks whether it reaches the server. */
  readonly oldProgram?: Buffer;
  readonly newProgram?: Buffer;
  /** Another guard's. */
  readonly script?: string;
}

/** A program that answers every question with this exit status. */
export function answering(version: string, exit: number): Buffer {
  return buildTinyElf({ prints: `${version}\n`, ending: { exit }, sizeBytes: 100_000 });
}

/** The files of one host. */
export class GuardHost implements AsyncDisposable {
  readonly root: string;
  readonly paths: UpdatePaths;
  readonly configPath: string;
  readonly newProgram: Buffer;
  readonly #script: string;
  #oldProgram: Buffer;

  private constructor(root: string, oldProgram: Buffer, newProgram: Buffer, script: string) {
    this.root = root;
    this.paths = updatePaths(join(root, "bin", "agent"), join(root, "state"));
    this.configPath = join(root, "agent.json");
    this.#oldProgram = oldProgram;
    this.newProgram = newProgram;
    this.#script = script;
  }

  static async create(options: GuardHostOptions = {}, parent = tmpdir()): Promise<GuardHost> {
    const root = await realpath(await mkdtemp(join(parent, "rollcall-guard-")));
    const { oldProgram = answering("1.0.0", 0), newProgram = answering("2.0.0", 1), script = GUARD } = options;
    const host = new GuardHost(root, oldProgram, newProgram, script);
    await mkdir(host.paths.folder, { mode: 0o700 });
    await mkdir(host.paths.stateDir, { mode: 0o700 });
    await writeFile(host.paths.binary, newProgram, { mode: 0o755 });
    await writeFile(host.paths.old, oldProgram, { mode: 0o755 });
    await writeFile(host.paths.journal, await host.journalText(options), { mode: 0o600 });
    return host;
  }

  /** The program that the update replaced. */
  get oldProgram(): Buffer {
    return this.#oldProgram;
  }

  /** The same host, had the update replaced this program. */
  async withOldProgram(oldProgram: Buffer, options: GuardHostOptions = {}): Promise<this> {
    this.#oldProgram = oldProgram;
    await writeFile(this.paths.old, oldProgram, { mode: 0o755 });
    await writeFile(this.paths.journal, await this.journalText(options));
    return this;
  }

  /** The journal as the updater writes it. */
  async journalText({ journal, ageMs = PATIENCE_MS + 1_000 }: GuardHostOptions = {}): Promise<string> {
    const { bootId, uptimeMs } = await readBootMoment();
    if (uptimeMs < ageMs) throw new Error(`this machine has not been up for ${ageMs} ms`);
    return formatJournal({
      state: "unconfirmed",
      jobId: JOB,
      fromSha256: sha256(this.#oldProgram),
      toSha256: sha256(this.newProgram),
      fromVersion: "1.0.0",
      toVersion: "2.0.0",
      sequence: 2,
      bootId,
      uptimeMs: uptimeMs - ageMs,
      reason: "none",
      ...journal,
    });
  }

  /** What the units add to the script. */
  guardArguments(mode: "look" | "stopped"): readonly string[] {
    return [this.#script, mode, this.paths.binary, this.paths.stateDir, this.configPath];
  }

  /** One of the looks that are taken every few seconds. */
  look(env: Readonly<Record<string, string>> = {}): Promise<RunEnd> {
    return run("sh", this.guardArguments("look"), env);
  }

  /** What follows the end of the agent, with an exit status or by a signal. */
  stopped(exitStatus: string, env: Readonly<Record<string, string>> = {}): Promise<RunEnd> {
    return run("sh", this.guardArguments("stopped"), { EXIT_STATUS: exitStatus, ...env });
  }

  /** The guard's own record, as it would stand after this many crashes. */
  async recordCrashes(crashes: number): Promise<void> {
    const { bootId, uptimeMs } = await readBootMoment();
    const lines = [`job ${JOB}`, `boot_id ${bootId}`, `since_ms ${uptimeMs}`, `crashes ${crashes}`, "finding none"];
    await writeFile(join(this.paths.stateDir, "guard"), `${lines.join("\n")}\nend\n`, { mode: 0o600 });
  }

  /** Which version stands at the path. */
  async standing(): Promise<"1.0.0" | "2.0.0" | "neither"> {
    return this.versionAt(this.paths.binary);
  }

  async versionAt(path: string): Promise<"1.0.0" | "2.0.0" | "neither"> {
    const bytes = await readFile(path);
    return bytes.equals(this.#oldProgram) ? "1.0.0" : bytes.equals(this.newProgram) ? "2.0.0" : "neither";
  }

  /** The agent's own code over these files, as a process that starts now has it. */
  async platform(): Promise<UpdatePlatform> {
    const { paths, configPath } = this;
    return createLinuxPlatform({
      binaryPath: paths.binary,
      stateDir: paths.stateDir,
      configPath,
      ownVersion: await this.standing(),
      trust: await openTrustStore(createTrustFile(paths), {
        roots: TEST_PUBLISHER.rootKeys,
        sequence: 0,
        keysSequence: 0,
      }),
      clock: realClock,
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return rm(this.root, { recursive: true, force: true });
  }
}
