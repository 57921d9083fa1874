import { expect, test } from "vitest";
import { isDuplicated, recentReplacements, type Replacement } from "../../../server/domain/identity-duplication.ts";

const chain = (...instances: string[]): Replacement[] =>
  instances
    .slice(1)
    .map((toInstanceId, index) => ({ fromInstanceId: instances[index] ?? "", toInstanceId, atMs: index * 1000 }));

test("two processes that take over in turn are a cloned disk from the fourth return on", () => {
  expect(isDuplicated(chain("a", "b", "a", "b", "a"))).toBe(false);
  expect(isDuplicated(chain("a", "b", "a", "b", "a", "b"))).toBe(true);
});

test("an agent that crashes over and over is not a cloned disk", () => {
  expect(isDuplicated(chain("a", "b", "c", "d", "e", "f", "g", "h"))).toBe(false);
});

test("replacements are forgotten after five minutes", () => {
  const replacements = chain("a", "b", "a", "b");
  expect(recentReplacements(replacements, 300_000).map((replacement) => replacement.atMs)).toEqual([1000, 2000]);
  expect(recentReplacements(replacements, 400_000)).toEqual([]);
});
