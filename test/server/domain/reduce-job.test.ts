import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { IllegalTransitionError } from "../../../server/domain/errors.ts";
import {
  isOpen,
  JOB_TRANSITIONS,
  type JobEvent,
  type JobEventName,
  type JobState,
  type JobStateName,
} from "../../../server/domain/job-state.ts";
import { auditActionOf, isLegal, reduceJob } from "../../../server/domain/reduce-job.ts";

const STATES: Readonly<Record<JobStateName, JobState>> = {
  dispatched: { name: "dispatched" },
  downloading: { name: "downloading", bytesDone: 10, bytesTotal: 100 },
  staged: { name: "staged" },
  restarting: { name: "restarting" },
  succeeded: { name: "succeeded" },
  failed: { name: "failed", reason: "agent_lost", details: {} },
  rolled_back: { name: "rolled_back", reason: "crashed", details: {} },
  cancelled: { name: "cancelled" },
};

const EVENTS: Readonly<Record<JobEventName, JobEvent>> = {
  progressed: { name: "progressed", bytesDone: 20, bytesTotal: 100 },
  staged: { name: "staged" },
  committed: { name: "committed" },
  agent_failed: { name: "agent_failed", reason: "probe_failed", details: { exitStatus: 1 } },
  deadline_passed: { name: "deadline_passed", maximumAgeReached: false },
  cancelled: { name: "cancelled" },
  returned_at_target: { name: "returned_at_target" },
  returned_rolled_back: { name: "returned_rolled_back", reason: "not_confirmed", details: {} },
  returned_idle: { name: "returned_idle" },
  returned_wrong_version: { name: "returned_wrong_version", expectedVersion: "2", actualVersion: "3" },
};

const PAIRS = Object.keys(STATES).flatMap((state) =>
  Object.keys(EVENTS).map((event) => [state as JobStateName, event as JobEventName] as const),
);

describe("every state meets every event", () => {
  test.each(PAIRS)("%s on %s", (stateName, eventName) => {
    const row: Readonly<Partial<Record<JobEventName, JobStateName>>> = JOB_TRANSITIONS[stateName];
    const next = row[eventName];
    if (next === undefined) {
      expect(() => reduceJob(STATES[stateName], EVENTS[eventName])).toThrow(IllegalTransitionError);
    } else {
      expect(reduceJob(STATES[stateName], EVENTS[eventName]).state.name).toBe(next);
    }
  });
});

describe("progress", () => {
  test("only a higher byte count gives a download its full time again", () => {
    const at = (bytesDone: number) => reduceJob(STATES.downloading, { name: "progressed", bytesDone, bytesTotal: 100 });
    expect(at(11).isProgress).toBe(true);
    expect(at(10)).toMatchObject({ isProgress: false, state: { bytesDone: 10 } });
    expect(at(9)).toMatchObject({ isProgress: false, state: { bytesDone: 10 } });
  });

  test("saying staged twice is progress once, and asks for the commit each time", () => {
    const first = reduceJob(STATES.downloading, EVENTS.staged);
    const second = reduceJob(first.state, EVENTS.staged);
    expect([first.isProgress, second.isProgress]).toEqual([true, false]);
    expect([first.effects, second.effects]).toEqual([[{ kind: "grant_commit" }], [{ kind: "grant_commit" }]]);
  });

  test("a host that says staged after the commit is sent the commit again and gets its full time", () => {
    expect(reduceJob(STATES.restarting, EVENTS.staged)).toMatchObject({
      effects: [{ kind: "send_commit" }],
      isProgress: true,
    });
  });
});

describe("the end of silence", () => {
  test("is no_progress before the commit and calls the stage off", () => {
    for (const name of ["dispatched", "downloading", "staged"] as const) {
      expect(reduceJob(STATES[name], EVENTS.deadline_passed)).toMatchObject({
        state: { name: "failed", reason: "no_progress", details: { lastState: name } },
        effects: [{ kind: "send_cancel" }],
      });
    }
  });

  test("is agent_lost after it", () => {
    expect(reduceJob(STATES.restarting, EVENTS.deadline_passed)).toMatchObject({
      state: { name: "failed", reason: "agent_lost", details: { lastState: "restarting" } },
      effects: [],
    });
  });

  test("says so when the job reached its greatest age", () => {
    const { state } = reduceJob(STATES.downloading, { name: "deadline_passed", maximumAgeReached: true });
    expect(state).toMatchObject({ details: { maximumAgeReached: true } });
  });
});

describe("a rollback", () => {
  test("is the truer outcome of agent_lost and of no other failure", () => {
    expect(reduceJob(STATES.failed, EVENTS.returned_rolled_back).state.name).toBe("rolled_back");
    const failed: JobState = { name: "failed", reason: "probe_failed", details: {} };
    expect(() => reduceJob(failed, EVENTS.returned_rolled_back)).toThrow(IllegalTransitionError);
  });
});

const anyEvent: fc.Arbitrary<JobEvent> = fc.oneof(
  fc.constantFrom(...Object.values(EVENTS)),
  fc.record({ name: fc.constant("progressed" as const), bytesDone: fc.nat(100), bytesTotal: fc.constant(100) }),
);

describe("over any run of events", () => {
  test("a closed job stays closed, bytes never fall, and the commit is sent only once it is recorded", () => {
    fc.assert(
      fc.property(fc.array(anyEvent, { maxLength: 30 }), (events) => {
        let state: JobState = STATES.dispatched;
        for (const event of events) {
          if (!isLegal(state.name, event.name)) continue;
          if (state.name === "failed" && state.reason !== "agent_lost") continue;
          const step = reduceJob(state, event);
          if (!isOpen(state.name)) expect(step.state.name).toBe("rolled_back");
          if (state.name === "downloading" && step.state.name === "downloading") {
            expect(step.state.bytesDone).toBeGreaterThanOrEqual(state.bytesDone);
          }
          if (step.effects.some((effect) => effect.kind === "send_commit")) expect(step.state.name).toBe("restarting");
          if (step.isProgress) expect(isOpen(step.state.name)).toBe(true);
          expect(auditActionOf(step.state) === undefined).toBe(isOpen(step.state.name));
          state = step.state;
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
