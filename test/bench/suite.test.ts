import { expect, test } from "vitest";
import { runSuites, type Suite, type SuiteFacts } from "./suite.ts";

const suite = (name: string, facts: SuiteFacts): Suite => ({ name, run: () => Promise.resolve(facts) });
const signal = new AbortController().signal;

test("a run of suites in which one found a problem fails, and the suites after it run all the same", async () => {
  const lines: string[] = [];
  const suites = [suite("faults", { runs: 2, problems: ["kill at fsync 3: torn"] }), suite("update", { ratio: 1 })];
  expect(await runSuites(suites, (line) => lines.push(line), signal)).toBe(1);
  expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
    { suite: "faults", runs: 2, problems: ["kill at fsync 3: torn"] },
    { suite: "update", ratio: 1 },
  ]);
});

test("a run of suites without a problem succeeds", async () => {
  const suites = [suite("faults", { runs: 2, problems: [] }), suite("update", { ratio: 1 })];
  expect(await runSuites(suites, () => undefined, signal)).toBe(0);
});
