import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { JobReason, JobState } from "../../../gen/rollcall/v1/model_pb.js";
import { JOB_REASONS, ROLLBACK_REASONS } from "../../../server/domain/job-reason.ts";
import { shortReason } from "../../../gen/short-reason.ts";
import { explainFailure } from "../../../gen/words/failure-words.ts";
import { job } from "../../web/fleet/wire.ts";

const REASONS = Object.values(JobReason).filter((value) => typeof value === "number");

test.each(REASONS)("reason %i is told whole: what happened, what is untouched, what to do", (reason) => {
  for (const state of [JobState.FAILED, JobState.ROLLED_BACK]) {
    const failure = explainFailure(job({ reason, state }), "db-02");
    expect(failure.short).toMatch(/^[A-Z][^.]+$/);
    for (const sentence of [failure.happened, failure.untouched, failure.toDo]) {
      expect(sentence).toMatch(/^[A-Za-z0-9].*\.$/);
      expect(sentence).not.toMatch(/undefined|null|\.\.|: \.|\s{2}/);
    }
  }
});

test("no two reasons look the same in a table", () => {
  const shorts = REASONS.map((reason) => explainFailure(job({ reason, state: JobState.FAILED }), "a").short);
  expect(new Set(shorts).size).toBe(shorts.length);
});

test("every reason that the server writes down by name is known by it", () => {
  for (const name of [...JOB_REASONS, ...ROLLBACK_REASONS]) expect(shortReason(name), name).not.toContain("_");
  expect(shortReason("preflight_no_space")).toBe("Not enough disk space");
  expect(shortReason("host_offline")).toBe("Offline when its turn came");
  expect(shortReason("a_reason_of_tomorrow")).toBe("a reason of tomorrow");
});

test("too little space is told with what is free, needed and missing", () => {
  const failure = explainFailure(
    job({
      state: JobState.FAILED,
      reason: JobReason.PREFLIGHT_NO_SPACE,
      details: { path: "/opt/rollcall", bytesFree: 61_000_000n, bytesNeeded: 118_000_000n },
    }),
    "db-02",
  );
  expect(failure).toMatchObject({
    short: "Not enough disk space",
    happened: "db-02 has 61 MB free under /opt/rollcall and needs 118 MB.",
    untouched: "db-02 still runs 1.0.0; nothing on it was replaced.",
    toDo: "Free 57 MB there, then update again.",
  });
});

test("what is left untouched hangs on whether the commit was sent", () => {
  const lost = explainFailure(
    job({ state: JobState.FAILED, reason: JobReason.AGENT_LOST, committedAt: timestampFromMs(1000) }),
    "db-02",
  );
  expect(lost.untouched).toBe(
    "db-02 may run 1.0.0 or 2.0.0; its guard puts 1.0.0 back by itself if 2.0.0 does not hold.",
  );
  const rolledBack = explainFailure(job({ state: JobState.ROLLED_BACK, reason: JobReason.CRASHED }), "db-02");
  expect(rolledBack).toMatchObject({
    short: "Rolled back: new agent crashed",
    happened: "2.0.0 crashed three times on db-02; the guard put 1.0.0 back.",
    untouched: "db-02 runs 1.0.0 again.",
  });
});
