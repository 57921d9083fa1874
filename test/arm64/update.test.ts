/** The built agent of linux-arm64 enrols at a real server, connects and updates itself, probe and restart included. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { systemClock } from "../../agent/clock-system.ts";
import { readProgramPlatform } from "../../agent/updater/program-header.ts";
import { JobReason, JobState } from "../../gen/rollcall/v1/model_pb.js";
import { findOpenSockets } from "../agent/open-sockets.ts";
import type { AgentBuild } from "../demo/agent-builds.ts";
import { DemoFleet } from "../demo/demo-fleet.ts";
import { describeJob, updateHost } from "../demo/update-host.ts";
import { createWorkspace } from "../demo/workspace.ts";
import { runCommand } from "../toolchain/run-command.ts";
import { createArm64Machine, explainNoArm64 } from "./arm64-machine.ts";

afterAll(async () => expect(await findOpenSockets()).toEqual([]));

const TIMEOUT_MS = 600_000;
const reasonToSkip = await explainNoArm64();

/** Builds one version, for linux-arm64 alone. */
async function build(folder: string, version: string, sequence: number, signal: AbortSignal): Promise<AgentBuild> {
  const releasesDir = join(folder, `sequence-${sequence}`);
  const options = ["--platform", "linux-arm64", "--version", version, "--sequence", String(sequence)];
  const words = [join("agent", "build", "main.ts"), ...options, "--out", releasesDir];
  const { succeeded, output } = await runCommand(process.execPath, words, signal);
  if (!succeeded) throw new Error(`the agent could not be built:\n${output}`);
  return { version, releasesDir, binaryPath: join(releasesDir, version, "linux-arm64", "rollcall-agent") };
}

describe.skipIf(reasonToSkip !== undefined)(
  `the agent of linux-arm64${reasonToSkip === undefined ? "" : ` (skipped: ${reasonToSkip})`}`,
  () => {
    test(
      "enrols, says Hello as what it is, and updates itself to the next release",
      async () => {
        const signal = AbortSignal.timeout(TIMEOUT_MS);
        await using workspace = await createWorkspace("rollcall-arm64-builds-");
        const older = await build(workspace.path, "1.0.0-arm64", 1, signal);
        const newer = await build(workspace.path, "2.0.0-arm64", 2, signal);
        expect(readProgramPlatform(await readFile(newer.binaryPath))).toBe("linux-arm64");

        await using machine = await createArm64Machine();
        await using fleet = await DemoFleet.start({ older, newer }, systemClock, signal);
        const { launcher } = machine;
        const host = await fleet.enrollHost("arm64", older.binaryPath, signal, { launcher });
        fleet.start(host);
        const hostId = await fleet.waitUntilOnline(host.name, signal);
        const before = (await fleet.client.getHost({ hostId })).host;
        expect(before).toMatchObject({ os: "linux", arch: "arm64", agentVersion: older.version });

        const { job } = await updateHost(fleet.client, fleet.watch, hostId, signal);
        expect(describeJob(job)).toBe("succeeded");
        expect(job).toMatchObject({ state: JobState.SUCCEEDED, reason: JobReason.UNSPECIFIED });
        expect((await fleet.client.getHost({ hostId })).host?.agentVersion).toBe(newer.version);
        expect((await readFile(host.binaryPath)).equals(await readFile(newer.binaryPath))).toBe(true);
        expect((await readFile(`${host.binaryPath}.old`)).equals(await readFile(older.binaryPath))).toBe(true);
      },
      TIMEOUT_MS,
    );
  },
);
