import { expect, test } from "vitest";
import { JobState } from "../../../gen/rollcall/v1/model_pb.js";
import { FleetUpdateHostState, FleetUpdateState } from "../../../gen/rollcall/v1/rollout_pb.js";
import { fleetUpdateWord, isFailure, isOpen, jobWord, memberWord } from "../../../gen/words/job-words.ts";

const numbers = (enumeration: Readonly<Record<string, string | number>>): number[] =>
  Object.values(enumeration).filter((value) => typeof value === "number");

test("no two states of a kind read the same", () => {
  const kinds = [
    numbers(JobState).map((state) => jobWord(state).word),
    numbers(FleetUpdateState).map((state) => fleetUpdateWord(state).word),
    numbers(FleetUpdateHostState).map((state) => memberWord(state, FleetUpdateState.RUNNING).word),
  ];
  for (const words of kinds) expect(new Set(words).size).toBe(words.length);
});

test("ends that mean different things have different shapes, so that no colour is needed", () => {
  const ends = [JobState.SUCCEEDED, JobState.FAILED, JobState.ROLLED_BACK, JobState.CANCELLED];
  expect(new Set(ends.map((state) => jobWord(state).shape)).size).toBe(ends.length);
  const members = numbers(FleetUpdateHostState).filter((state) => state !== FleetUpdateHostState.UNSPECIFIED);
  const shapes = members.map((state) => memberWord(state, FleetUpdateState.RUNNING).shape);
  expect(new Set(shapes).size).toBe(members.length);
});

test("a job is open or ended, and only a bad end is a failure", () => {
  const states = numbers(JobState).filter((state) => state !== JobState.UNSPECIFIED);
  expect(states.filter((state) => isOpen(state)).map((state) => JobState[state])).toEqual([
    "DISPATCHED",
    "DOWNLOADING",
    "STAGED",
    "RESTARTING",
  ]);
  expect(states.filter((state) => isFailure(state)).map((state) => JobState[state])).toEqual(["FAILED", "ROLLED_BACK"]);
});

test("a host that was still pending when its fleet update ended was not touched", () => {
  const word = (update: FleetUpdateState): string => memberWord(FleetUpdateHostState.PENDING, update).word;
  expect(word(FleetUpdateState.RUNNING)).toBe("Pending");
  expect(word(FleetUpdateState.HALTED)).toBe("Not touched");
  expect(word(FleetUpdateState.CANCELLED)).toBe("Not touched");
});
