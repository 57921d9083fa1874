import { describe, expect, test } from "vitest";
import { BACKOFF_LIMITS, choosePauseMs, type BackoffState } from "../../../agent/stream/backoff.ts";

const CALM: BackoffState = { failedRounds: 0, isUrgent: false, isTurnedAway: false, askedMs: 0 };

function pauseMs(state: Partial<BackoffState>, share: number): number {
  return choosePauseMs({ ...CALM, ...state }, BACKOFF_LIMITS, { next: () => share, uuid: () => "" });
}

describe("the pause between attempts", () => {
  test.each([
    [0, 1_000],
    [1, 2_000],
    [5, 32_000],
    [6, 60_000],
    [1_000_000, 60_000],
  ])("after %i failed rounds is anything up to %i ms", (failedRounds, greatestMs) => {
    expect(pauseMs({ failedRounds }, 0)).toBe(0);
    expect(pauseMs({ failedRounds }, 0.5)).toBe(greatestMs / 2);
    expect(pauseMs({ failedRounds }, 1)).toBe(greatestMs);
  });

  test("is at most 3 s while an update is at stake, however often it failed and whatever a busy server asks", () => {
    expect(pauseMs({ failedRounds: 20, isUrgent: true }, 1)).toBe(3_000);
    expect(pauseMs({ failedRounds: 20, isUrgent: true, askedMs: 50_000 }, 0)).toBe(3_000);
  });

  test("is never below what a server asks for", () => {
    expect(pauseMs({ askedMs: 20_000 }, 0.1)).toBe(20_000);
    expect(pauseMs({ askedMs: 20_000, failedRounds: 6 }, 0.9)).toBe(54_000);
  });

  test("is long after being turned away, urgent or not, and spread above what was asked", () => {
    expect(pauseMs({ isTurnedAway: true, isUrgent: true }, 0)).toBe(30_000);
    expect(pauseMs({ isTurnedAway: true, askedMs: 100_000 }, 0)).toBe(100_000);
    expect(pauseMs({ isTurnedAway: true, askedMs: 100_000 }, 0.5)).toBe(150_000);
  });

  test("cannot be made endless by a server", () => {
    expect(pauseMs({ askedMs: 4_294_967_295 }, 0)).toBe(600_000);
    expect(pauseMs({ isTurnedAway: true, askedMs: 4_294_967_295 }, 0)).toBe(600_000);
  });
});
