import { expect, test } from "vitest";
import { gatherCrowd } from "./crowd.ts";
import { INSPECTED } from "./heap-gauge.ts";
import { runSoak } from "./soak.ts";

const AGENTS = 100;
/** Each agent leaves three times a minute. */
const PLAN = { minutes: 0.75, percentAMinute: 300 };
/** A session that is not let go of keeps a connection's buffers: many kilobytes, two hundred times. */
const GREATEST_GROWTH = 1.15;

test("a server keeps its size while agents come and go and are updated, and loses none of them", async () => {
  const { signal } = new AbortController();
  await using crowd = await gatherCrowd(AGENTS, signal, { environment: INSPECTED });
  const soak = await runSoak(crowd, PLAN, () => undefined, signal);
  expect(soak.problems).toEqual([]);
  expect(soak.fleetUpdates).toBeGreaterThan(0);
  expect(soak.updates).toBeGreaterThan(AGENTS / 2);
  expect(soak.heap).toSatisfy(({ growth }: typeof soak.heap) => growth <= GREATEST_GROWTH);
}, 300_000);
