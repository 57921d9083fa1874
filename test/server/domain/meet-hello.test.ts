import { describe, expect, test } from "vitest";
import { meetLostJob, meetOpenJob, type GreetedJob, type HelloReport } from "../../../server/domain/meet-hello.ts";
import { OPEN_JOB_STATES } from "../../../server/domain/job-state.ts";

const job = (stateName: GreetedJob["stateName"]): GreetedJob => ({
  id: "job-1",
  stateName,
  fromVersion: "1.0",
  toVersion: "2.0",
});
const failedHere: HelloReport["lastUpdate"] = {
  jobId: "job-1",
  outcome: { kind: "failed", reason: "swap_failed", details: { path: "/x" } },
};
const rolledBackHere: HelloReport["lastUpdate"] = {
  jobId: "job-1",
  outcome: { kind: "rolled_back", reason: "crashed", details: {} },
};

describe.each(OPEN_JOB_STATES)("an open job in %s", (stateName) => {
  test("succeeds when its host says the target version, whatever else the Hello says", () => {
    expect(meetOpenJob(job(stateName), { agentVersion: "2.0" })).toEqual({ name: "returned_at_target" });
    expect(meetOpenJob(job(stateName), { agentVersion: "2.0", lastUpdate: failedHere })).toEqual({
      name: "returned_at_target",
    });
  });

  test("takes the outcome that the host gives of this very job", () => {
    expect(meetOpenJob(job(stateName), { agentVersion: "1.0", lastUpdate: failedHere })).toEqual({
      name: "agent_failed",
      reason: "swap_failed",
      details: { path: "/x" },
    });
    expect(meetOpenJob(job(stateName), { agentVersion: "1.0", lastUpdate: rolledBackHere })?.name).toBe(
      "returned_rolled_back",
    );
  });

  test("is not touched by the outcome of another job", () => {
    const other: HelloReport = {
      agentVersion: "1.0",
      lastUpdate: { jobId: "job-0", outcome: { kind: "failed", reason: "probe_failed", details: {} } },
    };
    expect(meetOpenJob(job(stateName), other)).toEqual({ name: "returned_idle" });
  });

  test("goes on with the process that works on it", () => {
    const active = (phase: "downloading" | "staged" | "restarting"): HelloReport => ({
      agentVersion: "1.0",
      activeJob: { jobId: "job-1", phase },
    });
    expect(meetOpenJob(job(stateName), active("downloading"))).toBeUndefined();
    expect(meetOpenJob(job(stateName), active("staged"))).toEqual({ name: "staged" });
    expect(meetOpenJob(job(stateName), active("restarting"))).toBeUndefined();
  });

  test("meets an idle process at the former version as idle, at any other version as wrong", () => {
    expect(meetOpenJob(job(stateName), { agentVersion: "1.0" })).toEqual({ name: "returned_idle" });
    expect(meetOpenJob(job(stateName), { agentVersion: "1.5" })).toEqual({
      name: "returned_wrong_version",
      expectedVersion: "2.0",
      actualVersion: "1.5",
    });
  });
});

test("a job that failed in silence takes a rollback of itself and nothing else", () => {
  expect(meetLostJob(job("failed"), { agentVersion: "1.0", lastUpdate: rolledBackHere })?.name).toBe(
    "returned_rolled_back",
  );
  expect(meetLostJob(job("failed"), { agentVersion: "2.0" })).toBeUndefined();
  expect(meetLostJob(job("failed"), { agentVersion: "1.0", lastUpdate: failedHere })).toBeUndefined();
});
