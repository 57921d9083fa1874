import { expect, test } from "vitest";
import { CoalescedQuestions } from "../../../server/store/coalesced-questions.ts";

/** Two kinds of question whose statements are noted. */
function twoKinds() {
  const statements: string[] = [];
  const questions = new CoalescedQuestions();
  const lock = questions.add(async (ids: readonly string[]) => {
    statements.push(`lock ${ids.join(" ")}`);
    return ids.map((id) => id.toUpperCase());
  });
  const save = questions.add(async (rows: readonly string[]) => {
    statements.push(`save ${rows.join(" ")}`);
    return rows.map((row) => row.length);
  });
  return { statements, lock, save };
}

test("what several ask at one time is one statement, and each gets its own answer", async () => {
  const { statements, lock, save } = twoKinds();
  const work = async (id: string): Promise<number> => save(`${await lock(id)}!`);
  expect(await Promise.all([work("a"), work("bb"), work("ccc")])).toEqual([2, 3, 4]);
  expect(statements).toEqual(["lock a bb ccc", "save A! BB! CCC!"]);
});

test("kinds are asked in the order of their locks, and who comes to one later joins those who wait for it", async () => {
  const { statements, lock, save } = twoKinds();
  const late = async (): Promise<number> => save(await lock("a"));
  await Promise.all([save("early"), late()]);
  expect(statements).toEqual(["lock a", "save early A"]);
});

test("what is asked one after the other is asked so", async () => {
  const { statements, lock } = twoKinds();
  expect([await lock("a"), await lock("b")]).toEqual(["A", "B"]);
  expect(statements).toEqual(["lock a", "lock b"]);
});

test("a statement that fails fails everybody who asked it, and nobody else", async () => {
  const questions = new CoalescedQuestions();
  const bad = questions.add(async (): Promise<readonly string[]> => {
    throw new Error("no such table");
  });
  const good = questions.add(async (ids: readonly string[]) => ids);
  const outcomes = await Promise.allSettled([bad("a"), bad("b"), good("c")]);
  expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "rejected", "fulfilled"]);
  expect(await good("d")).toBe("d");
});
