/**
 * The server's rules under every kind of trouble at once, one seed a schedule.
 *
 *     ROLLCALL_SIMULATION_SEED=428        replays one schedule and tells all that happens in it
 *     ROLLCALL_SIMULATION_SCHEDULES=100000  runs so many
 *     ROLLCALL_SIMULATION_FIRST_SEED=1      beginning with this seed
 */
import { afterAll, describe, expect, test } from "vitest";
import { runCampaign } from "./campaign.ts";
import { runSchedule } from "./run-schedule.ts";
import { SEEDED_BUGS } from "./seeded-bugs.ts";

const REPLAYED_SEED = numberOf("ROLLCALL_SIMULATION_SEED");
const SCHEDULES = REPLAYED_SEED === undefined ? (numberOf("ROLLCALL_SIMULATION_SCHEDULES") ?? 10_000) : 1;
const FIRST_SEED = REPLAYED_SEED ?? numberOf("ROLLCALL_SIMULATION_FIRST_SEED") ?? 1;

/** A bug that this many schedules do not show counts as missed. */
const SCHEDULES_A_BUG = 6_000;
/** *Units*: milliseconds a schedule, on a machine that does much else. */
const PATIENCE_MS = 60;

/** What some schedule has to reach, or the campaign proves little. */
const SOMETIMES = [
  "a fleet update is completed",
  "a fleet update is halted",
  "a fleet update is cancelled",
  "a job is rolled back",
  "a lost host tells that it rolled back",
  "a job fails: commit_expired",
  "a job fails: agent_restarted",
  "a job fails: agent_lost",
  "a job fails: no_progress",
  "a version is quarantined",
  "a download is resumed",
  "a write is fenced off",
  "an old session is void",
  "deadlines move with the clock",
  "a server is killed",
  "a server is stopped",
];

function numberOf(name: string): number | undefined {
  const text = process.env[name];
  return text === undefined ? undefined : Number(text);
}

/** The end of what happened in a schedule, and how to see it all. */
async function describeSchedule(seed: number): Promise<string> {
  const lines: string[] = [];
  await runSchedule(seed, { tell: (line) => lines.push(line) });
  if (REPLAYED_SEED !== undefined) return lines.join("\n");
  return `ROLLCALL_SIMULATION_SEED=${seed} tells all of it; it ends with\n${lines.slice(-40).join("\n")}`;
}

describe("in schedules of faults", () => {
  test(`no rule is broken, and all that matters is reached, in ${SCHEDULES} schedules from seed ${FIRST_SEED}`, {
    timeout: 30_000 + SCHEDULES * PATIENCE_MS,
  }, async () => {
    const { violated, sightings, schedules } = await runCampaign(FIRST_SEED, SCHEDULES);
    const sentence = violated === undefined ? "" : await describeSchedule(violated.seed);
    expect(violated?.violations ?? [], sentence).toEqual([]);
    expect(schedules).toBe(SCHEDULES);
    if (REPLAYED_SEED !== undefined) console.log(await describeSchedule(REPLAYED_SEED));
    else expect(SOMETIMES.filter((sighting) => !sightings.has(sighting))).toEqual([]);
  });

  test.each(SEEDED_BUGS)("the simulation catches $name", { timeout: SCHEDULES_A_BUG * PATIENCE_MS }, async (bug) => {
    const { violated } = await runCampaign(1, SCHEDULES_A_BUG, bug.options, (violation) => bug.symptom.test(violation));
    expect(violated?.violations.find((violation) => bug.symptom.test(violation))).toBeDefined();
    // The same seed is good without the bug: it is the bug that was caught.
    expect((await runSchedule(violated?.seed ?? 0)).violations).toEqual([]);
  });

  test("a seed means the same schedule each time", async () => {
    for (const seed of [3, 18, 83]) {
      const told = async (): Promise<readonly string[]> => {
        const lines: string[] = [];
        await runSchedule(seed, { tell: (line) => lines.push(line) });
        return lines;
      };
      const lines = await told();
      expect(lines.length).toBeGreaterThan(5);
      expect(await told()).toEqual(lines);
    }
  });
});

afterAll(() => {
  expect(process.getActiveResourcesInfo().filter((kind) => /^(?:TCP|ProcessWrap)/.test(kind))).toEqual([]);
});
