/**
 * The server is killed, as by SIGKILL, right after it stored each state of a job and
 * right after it sent what follows from it. Started again, it brings the job to the
 * end that its host really came to.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { UpdateError } from "../../agent/updater/update-error.ts";
import { HostStatus, JobReason, JobState, type Job } from "../../gen/rollcall/v1/model_pb.js";
import type { FakePlatform } from "../agent/fake-platform.ts";
import { NEW_VERSION, OLD_VERSION, untilEnded } from "../support/control-plane.ts";
import { enrollHost } from "../support/host-enrollment.ts";
import { MemoryHost } from "../support/memory-host.ts";
import { ServerChild } from "../support/server-child.ts";
import { createTestDatabase } from "../support/test-database.ts";
import { writeTestRelease } from "../support/test-release.ts";
import { buildVersionElf } from "../support/tiny-elf.ts";

const DEADLINE_AND_MARGIN_MS = 100_000;

interface Outcome {
  readonly job: Job;
  readonly host: MemoryHost;
}

/** Runs one update whose server dies at `faultPoint`, and returns how it ended under the next server. */
async function updateThrough(
  faultPoint: string,
  act: "update" | "cancel",
  prepare?: (platform: FakePlatform) => void,
): Promise<Outcome> {
  await using parts = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "rollcall-killed-"));
  parts.defer(() => rm(folder, { recursive: true, force: true }));
  const releasesDir = join(folder, "releases");
  await writeTestRelease(releasesDir, {
    version: NEW_VERSION,
    sequence: 2,
    artifact: buildVersionElf(NEW_VERSION, 400_000),
  });
  const database = parts.use(await createTestDatabase());
  const server = parts.use(
    new ServerChild({ dataDir: join(folder, "data"), releasesDir, version: NEW_VERSION, databaseUrl: database.url }),
  );
  await server.start({ ROLLCALL_FAULT_POINT: faultPoint });
  const caPem = await server.caPem();
  const fleet = await server.fleet();
  const { hostId, credential } = await enrollHost(fleet, { agents: server.agents, caPem }, "killed");
  const host = parts.use(
    new MemoryHost({
      hostname: "killed",
      version: OLD_VERSION,
      servers: [server.agents],
      caPem,
      credential,
      restartMs: 100,
      ...(prepare && { prepare }),
    }),
  );
  await host.log.until("connected");

  const asked = fleet.updateHost({ hostId }).catch(() => undefined);
  if (act === "cancel") {
    const jobId = (await asked)?.job?.id ?? "";
    await fleet.cancelJob({ jobId }).catch(() => undefined);
  }
  expect(await server.exited()).toBe("SIGKILL");
  await server.start();
  const { jobs } = await fleet.listJobs({ hostId });
  expect(jobs).toHaveLength(1);
  const job = await untilEnded(fleet, jobs[0]?.id ?? "");
  const found = await fleet.getHost({ hostId });
  expect(found.host).toMatchObject({ status: HostStatus.ONLINE });
  return { job, host };
}

const POINTS = ["dispatched", "downloading", "staged", "restarting", "succeeded"].flatMap((state) => [
  `stored:${state}`,
  `sent:${state}`,
]);

test.concurrent.each(POINTS)(
  "a server killed at %s is followed by one that sees the update through",
  async (point) => {
    const { job, host } = await updateThrough(point, "update");
    expect(job).toMatchObject({ state: JobState.SUCCEEDED, toVersion: NEW_VERSION });
    expect(host.version).toBe(NEW_VERSION);
    expect(host.swaps).toBe(1);
  },
  DEADLINE_AND_MARGIN_MS,
);

test.concurrent.each(["stored:failed", "sent:failed"])(
  "a server killed at %s keeps the reason that the host gave",
  async (point) => {
    const { job, host } = await updateThrough(point, "update", (platform) =>
      platform.before("preflight", () => {
        throw new UpdateError(JobReason.PREFLIGHT_READ_ONLY, { path: "/opt/rollcall" });
      }),
    );
    expect(job).toMatchObject({
      state: JobState.FAILED,
      reason: JobReason.PREFLIGHT_READ_ONLY,
      details: { path: "/opt/rollcall" },
    });
    expect(host.version).toBe(OLD_VERSION);
  },
  DEADLINE_AND_MARGIN_MS,
);

test.concurrent.each(["stored:cancelled", "sent:cancelled"])(
  "a server killed at %s leaves the job cancelled and its host on the old version",
  async (point) => {
    // The probe waits for ever: only the cancel ends it.
    const { job, host } = await updateThrough(point, "cancel", (platform) => void platform.hold("probe"));
    expect(job.state).toBe(JobState.CANCELLED);
    expect(host.version).toBe(OLD_VERSION);
    expect(host.swaps).toBe(0);
  },
  DEADLINE_AND_MARGIN_MS,
);
