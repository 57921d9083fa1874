import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { JobState } from "../../../gen/rollcall/v1/model_pb.js";
import { phasesOf } from "../../../web/src/words/job-phases.ts";
import { job } from "../fleet/wire.ts";

const states = (...args: Parameters<typeof job>): string =>
  phasesOf(job(...args))
    .map(({ state }) => state)
    .join(" ");

test.each([
  [JobState.DISPATCHED, "active pending pending pending pending"],
  [JobState.DOWNLOADING, "done active pending pending pending"],
  [JobState.STAGED, "done done active pending pending"],
  [JobState.RESTARTING, "done done done active pending"],
  [JobState.SUCCEEDED, "done done done done done"],
  [JobState.ROLLED_BACK, "done done done rolledBack pending"],
])("a job in state %i stands at its step", (state, expected) => {
  expect(states({ state })).toBe(expected);
});

test("a failure stands at the step that it reached, and the rest was not reached", () => {
  expect(states({ state: JobState.FAILED, details: { lastState: JobState.DOWNLOADING } })).toBe(
    "done failed pending pending pending",
  );
  expect(states({ state: JobState.FAILED })).toBe("failed pending pending pending pending");
  expect(states({ state: JobState.FAILED, committedAt: timestampFromMs(1) })).toBe("done done done failed pending");
  expect(states({ state: JobState.CANCELLED })).toBe("cancelled pending pending pending pending");
});
