/** The durations as shipped: one test a reason that only time brings about. They wait side by side. */
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { UpdatePhase } from "../../../gen/rollcall/v1/agent_pb.js";
import { JobReason, JobState } from "../../../gen/rollcall/v1/model_pb.js";
import { OLD_VERSION, startControlPlane, type ControlPlane } from "../../support/control-plane.ts";
import { validHello } from "../../support/scripted-agent.ts";

let plane: ControlPlane;
beforeAll(async () => {
  plane = await startControlPlane();
});
afterAll(() => plane[Symbol.asyncDispose]());

const MOST_MS = 100_000;

async function startJob(hostname: string) {
  const agent = await plane.enrollAgent(hostname);
  const { stream } = await agent.hello(validHello({ hostname, agentVersion: OLD_VERSION, instanceId: randomUUID() }));
  // Heartbeats alone are not progress; without them the stream would end.
  const beating = setInterval(() => stream.sendHeartbeat(), 15_000);
  void stream.ended.then(() => clearInterval(beating));
  const { job } = await plane.fleet.updateHost({ hostId: agent.hostId });
  return { stream, jobId: job?.id ?? "", startedMs: performance.now() };
}

test.concurrent.each([
  ["no_progress, never accepted", undefined, JobReason.NO_PROGRESS, JobState.DISPATCHED],
  ["no_progress, download stands still", UpdatePhase.DOWNLOADING, JobReason.NO_PROGRESS, JobState.DOWNLOADING],
  ["agent_lost", UpdatePhase.STAGED, JobReason.AGENT_LOST, JobState.RESTARTING],
] as const)(
  "%s comes after 90 s and within 10 s more",
  async (name, phase, reason, lastState) => {
    const { stream, jobId, startedMs } = await startJob(name.replaceAll(/[ ,_]+/g, "-"));
    if (phase !== undefined) stream.sendProgress({ jobId, phase, bytesDone: 1n, bytesTotal: 10n });
    const job = await plane.untilEnded(jobId);
    const tookMs = performance.now() - startedMs;
    expect(job).toMatchObject({ state: JobState.FAILED, reason, details: { lastState } });
    expect(tookMs).toBeGreaterThan(89_000);
    expect(tookMs).toBeLessThan(MOST_MS);
  },
  MOST_MS + 20_000,
);
