import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { UpdatePhase } from "../../../gen/rollcall/v1/agent_pb.js";
import { HostStatus, JobReason, JobState, type Job } from "../../../gen/rollcall/v1/model_pb.js";
import { OLD_VERSION, startControlPlane, type ControlPlane } from "../../support/control-plane.ts";
import { validHello } from "../../support/scripted-agent.ts";

const DEADLINE_MS = 900;
const OFFLINE_AFTER_MS = 700;

let plane: ControlPlane;
beforeAll(async () => {
  plane = await startControlPlane({
    progressDeadlineMs: DEADLINE_MS,
    greatestJobAgeMs: 6_000,
    offlineAfterMs: OFFLINE_AFTER_MS,
  });
});
afterAll(() => plane[Symbol.asyncDispose]());

async function startJob(hostname: string) {
  const agent = await plane.enrollAgent(hostname);
  const { stream } = await agent.hello(validHello({ hostname, agentVersion: OLD_VERSION, instanceId: randomUUID() }));
  const { job } = await plane.fleet.updateHost({ hostId: agent.hostId });
  return { agent, stream, jobId: job?.id ?? "" };
}

function ageMs(job: Job): number {
  return (
    Number((job.endedAt?.seconds ?? 0n) - (job.createdAt?.seconds ?? 0n)) * 1000 +
    ((job.endedAt?.nanos ?? 0) - (job.createdAt?.nanos ?? 0)) / 1e6
  );
}

describe("an open job without progress", () => {
  test("fails with no_progress when its host never answers, and the host is told to drop it", async () => {
    const { stream, jobId } = await startJob("silent");
    const job = await plane.untilEnded(jobId);
    expect(job).toMatchObject({
      state: JobState.FAILED,
      reason: JobReason.NO_PROGRESS,
      details: { lastState: JobState.DISPATCHED },
    });
    expect(ageMs(job)).toBeGreaterThanOrEqual(DEADLINE_MS);
    expect(ageMs(job)).toBeLessThan(DEADLINE_MS + 5_000);
    while ((await stream.next()).message.case !== "cancelUpdate");
  });

  test("fails although its host says the same byte count over and over", async () => {
    const { stream, jobId } = await startJob("stuck");
    const saying = setInterval(
      () => stream.sendProgress({ jobId, phase: UpdatePhase.DOWNLOADING, bytesDone: 5n, bytesTotal: 100n }),
      200,
    );
    try {
      expect(await plane.untilEnded(jobId)).toMatchObject({
        reason: JobReason.NO_PROGRESS,
        details: { lastState: JobState.DOWNLOADING },
      });
    } finally {
      clearInterval(saying);
    }
  });

  test("fails with agent_lost after its commit", async () => {
    const { stream, jobId } = await startJob("lost");
    stream.sendProgress({ jobId, phase: UpdatePhase.STAGED });
    expect(await plane.untilEnded(jobId)).toMatchObject({
      state: JobState.FAILED,
      reason: JobReason.AGENT_LOST,
      details: { lastState: JobState.RESTARTING },
    });
  });

  test("a late matching Hello updates the host and leaves the failed job failed", async () => {
    const { agent, stream, jobId } = await startJob("late");
    stream.sendProgress({ jobId, phase: UpdatePhase.STAGED });
    await plane.untilEnded(jobId);
    await agent.hello(validHello({ hostname: "late", agentVersion: "2.0.0", instanceId: randomUUID() }));
    const { host } = await plane.fleet.getHost({ hostId: agent.hostId });
    expect(host).toMatchObject({
      agentVersion: "2.0.0",
      updateAvailable: false,
      latestJob: { state: JobState.FAILED },
    });
  });
});

test("a slow host that keeps moving lives past many deadlines, but never past the greatest age of a job", async () => {
  const { stream, jobId } = await startJob("one-block-at-a-time");
  let bytesDone = 0n;
  const moving = setInterval(() => {
    bytesDone += 1n;
    stream.sendProgress({ jobId, phase: UpdatePhase.DOWNLOADING, bytesDone, bytesTotal: 1_000n });
  }, DEADLINE_MS / 3);
  try {
    const job = await plane.untilEnded(jobId);
    expect(job).toMatchObject({
      state: JobState.FAILED,
      reason: JobReason.NO_PROGRESS,
      details: { maximumAgeReached: true },
    });
    expect(ageMs(job)).toBeGreaterThan(5_500);
    expect(ageMs(job)).toBeLessThan(7_500);
  } finally {
    clearInterval(moving);
  }
});

test("a host counts as online until its session has been closed for a while, and watchers are told when it is not", async () => {
  const agent = await plane.enrollAgent("leaving");
  const { stream } = await agent.hello(validHello({ hostname: "leaving", instanceId: randomUUID() }));
  const leaving = new AbortController();
  let leftAt = 0;
  for await (const { change } of plane.fleet.watchFleet({}, { signal: leaving.signal })) {
    if (change.case === "caughtUp") {
      leftAt = performance.now();
      stream.cancel();
    }
    // Whoever watches is told when the session closes too, of a host that still counts as online.
    if (change.case !== "host" || change.value.id !== agent.hostId) continue;
    if (change.value.status === HostStatus.OFFLINE) break;
    expect(change.value.status).toBe(HostStatus.ONLINE);
  }
  expect(performance.now() - leftAt).toBeGreaterThan(OFFLINE_AFTER_MS);
  leaving.abort();
});
