/**
 * Hosts that run the built agent, each about to update itself to the newer build,
 * and one real server, with its own PostgreSQL, for all of them.
 *
 * A host has the `.old` and the confirmed journal of an earlier update, so an
 * updater that reaches for the wrong predecessor is seen.
 */
import { cp, link, readFile, rm, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { systemClock } from "../../agent/clock-system.ts";
import { digestFile } from "../../agent/updater/file-digest.ts";
import { writeJournal } from "../../agent/updater/journal.ts";
import { DemoFleet } from "../demo/demo-fleet.ts";
import type { AgentBuild, AgentBuilds } from "../demo/agent-builds.ts";
import { createWorkspace } from "../demo/workspace.ts";
import { layOutAgentHost } from "../support/agent-host.ts";
import { buildVersionElf } from "../support/tiny-elf.ts";
import { BuiltHost, type BuiltVersions } from "./built-host.ts";
import type { FaultCase } from "./campaign.ts";

const EARLIER_JOB = "00000000-0000-4000-8000-000000000001";
const EARLIEST_VERSION = "0.0.0";

/** What all cases of a campaign share. */
export class BuiltFleet implements AsyncDisposable {
  readonly #fleet: DemoFleet;
  readonly #folder: string;
  readonly #versions: BuiltVersions;
  readonly #olderBinary: string;
  readonly #caPem: string;
  readonly #owned: AsyncDisposableStack;
  #hostCount = 0;

  private constructor(
    fleet: DemoFleet,
    folder: string,
    versions: BuiltVersions,
    olderBinary: string,
    caPem: string,
    owned: AsyncDisposableStack,
  ) {
    this.#fleet = fleet;
    this.#folder = folder;
    this.#versions = versions;
    this.#olderBinary = olderBinary;
    this.#caPem = caPem;
    this.#owned = owned;
  }

  /** Starts the server, whose own version is the newer build. */
  static async start(builds: AgentBuilds, signal: AbortSignal): Promise<BuiltFleet> {
    await using owned = new AsyncDisposableStack();
    const { path: folder } = owned.use(await createWorkspace("rollcall-built-"));
    // Copies, so that no fault and no later build touches what is run here.
    const { older, newer } = await copyBuilds(builds, folder);
    const fleet = owned.use(await DemoFleet.start({ older, newer }, systemClock, signal));
    const earliest = join(folder, "earliest");
    await writeFile(earliest, buildVersionElf(EARLIEST_VERSION));
    const versions: BuiltVersions = {
      earliest: { version: EARLIEST_VERSION, sha256: (await digestFile(earliest)).sha256 },
      older: { version: older.version, sha256: (await digestFile(older.binaryPath)).sha256 },
      newer: { version: newer.version, sha256: (await digestFile(newer.binaryPath)).sha256 },
    };
    const caPem = await readFile(fleet.server.caFile, "utf8");
    return new BuiltFleet(fleet, folder, versions, older.binaryPath, caPem, owned.move());
  }

  /** A fresh host that runs the older version. */
  async prepare(): Promise<FaultCase> {
    this.#hostCount += 1;
    const hostname = `host-${this.#hostCount}`;
    const folder = join(this.#folder, hostname);
    const host = await layOutAgentHost({
      folder,
      hostname,
      fleet: this.#fleet.client,
      server: { agents: this.#fleet.server.agents, caPem: this.#caPem },
    });
    await link(this.#olderBinary, host.paths.binary);
    await writeFile(host.paths.old, buildVersionElf(EARLIEST_VERSION), { mode: 0o755 });
    await writeJournal(host.paths, {
      state: "confirmed",
      jobId: EARLIER_JOB,
      fromSha256: this.#versions.earliest.sha256,
      toSha256: this.#versions.older.sha256,
      fromVersion: EARLIEST_VERSION,
      toVersion: this.#versions.older.version,
      sequence: 1,
      bootId: "boot",
      uptimeMs: 1,
      reason: "none",
    });
    const built = new BuiltHost(host, this.#versions, this.#fleet, join(folder, "agent.log"));
    return {
      root: folder,
      subject: {
        command: host.paths.binary,
        args: host.runArguments,
        env: {},
        paths: Object.values(host.paths),
        attend: (program) => built.askForUpdate(program),
      },
      findProblems: (fault, end) => built.findProblems(fault, end),
      [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
    };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#owned.disposeAsync();
  }
}

async function copyBuilds({ older, newer }: AgentBuilds, folder: string): Promise<AgentBuilds> {
  return { older: await copyBuild(older, join(folder, "older")), newer: await copyBuild(newer, join(folder, "newer")) };
}

async function copyBuild({ version, releasesDir, binaryPath }: AgentBuild, target: string): Promise<AgentBuild> {
  await cp(releasesDir, target, { recursive: true });
  return { version, releasesDir: target, binaryPath: join(target, relative(releasesDir, binaryPath)) };
}
