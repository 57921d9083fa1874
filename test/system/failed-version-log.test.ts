/**
 * Three hosts with the built agent are updated to a build that ends, crashes or hangs once it runs. What it said last
 * stands at each job. Some 35 s, most of them builds and pauses of the guard.
 */
import { link, mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { HostStatus, JobReason, JobState, type Job } from "../../gen/rollcall/v1/model_pb.js";
import { layOutAgentHost } from "../support/agent-host.ts";
import { buildBadAgent } from "../support/bad-agent-build.ts";
import { buildTestAgents } from "../support/built-agent.ts";
import { NEW_VERSION, startControlPlane, type ControlPlane } from "../support/control-plane.ts";
import { GuardedAgent } from "../support/guarded-agent.ts";
import { watchUntil } from "../support/watch-until.ts";
import { buildVersionElf } from "../support/tiny-elf.ts";

/** Right after it has said that it started. The name of the host is what goes wrong on it. */
const HARM = `
  log.warn("harm_done", { token: "rc_enroll_secretsecret" });
  if (facts.host.hostname === "ends") process.exit(3);
  if (facts.host.hostname === "crashes") queueMicrotask(() => { throw new TypeError("nobody expects this"); });
  if (facts.host.hostname === "hangs") for (;;);
  const credentials =`;

let folder: string;
let olderBinary: string;
let plane: ControlPlane;

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), "rollcall-failed-version-")));
  olderBinary = (await buildTestAgents()).older.binaryPath;
  plane = await startControlPlane({}, buildVersionElf(NEW_VERSION), { ROLLCALL_QUARANTINE_HOSTS: "9" }, (root) =>
    buildBad(join(root, "releases")),
  );
}, 120_000);

afterAll(async () => {
  await plane[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

async function buildBad(releasesDir: string): Promise<void> {
  await rm(releasesDir, { recursive: true });
  const order = { version: NEW_VERSION, sequence: 2, releasesDir };
  await buildBadAgent({ ...order, replaced: "\n  const credentials =", by: HARM });
}

/** Updates a host of this name, and waits for the end of its job. */
async function update(hostname: string, patienceS: number): Promise<{ readonly job: Job; readonly log: string }> {
  const host = await layOutAgentHost({ folder: join(folder, hostname), hostname, fleet: plane.fleet, server: plane });
  await link(olderBinary, host.paths.binary);
  await using _agent = await GuardedAgent.start(host, { patienceS });
  await watchUntil(plane.fleet, async () => {
    const { host: seen } = await plane.fleet.getHost({ hostId: host.hostId });
    return seen?.status === HostStatus.ONLINE ? true : undefined;
  });
  const { job } = await plane.fleet.updateHost({ hostId: host.hostId });
  const ended = await plane.untilEnded(job?.id ?? "");
  const { lines } = await plane.fleet.getJobLog({ jobId: ended.id });
  return { job: ended, log: lines.join("\n") };
}

describe.concurrent("what a version that was rolled back said last stands at the job, when it", () => {
  test("ended", async () => {
    const { job, log } = await update("ends", 600);
    expect(job).toMatchObject({ state: JobState.ROLLED_BACK, reason: JobReason.CRASHED });
    expect(log.match(/"event":"started"/g)).toHaveLength(3);
    expect(log).toContain(`rollcall-agent-guard: ${NEW_VERSION} ended: exited 3 (3 of 3)`);
    expect(log).toContain('"event":"harm_done","token":"rc_***"');
    expect(log).not.toContain("secretsecret");
  }, 60_000);

  test("crashed", async () => {
    const { job, log } = await update("crashes", 600);
    expect(job).toMatchObject({ state: JobState.ROLLED_BACK, reason: JobReason.CRASHED });
    expect(log).toMatch(/TypeError: nobody expects this\n {4}at /);
    expect(log).toContain("(3 of 3)");
  }, 60_000);

  test("hung", async () => {
    const { job, log } = await update("hangs", 2);
    expect(job).toMatchObject({ state: JobState.ROLLED_BACK, reason: JobReason.NOT_CONFIRMED });
    expect(log).toContain('"event":"harm_done"');
    expect(log).toContain(`${NEW_VERSION} is not confirmed after 2 s`);
  }, 60_000);
});

test("a job that was not rolled back has no log, and one that never was is unknown", async () => {
  const { jobs } = await plane.fleet.listJobs({});
  expect(jobs).toHaveLength(3);
  const jobId = "11111111-1111-4111-8111-111111111111";
  await expect(plane.fleet.getJobLog({ jobId })).rejects.toThrow(`There is no job ${jobId}`);
});
