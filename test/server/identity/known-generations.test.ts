import { expect, test } from "vitest";
import type { HostId } from "../../../server/domain/ids.ts";
import { KnownGenerations } from "../../../server/identity/known-generations.ts";

const HOST = "00000000-0000-4000-8000-00000000000a" as HostId;
const OTHER = "00000000-0000-4000-8000-00000000000b" as HostId;

/** Generations over rows that a test changes, and what was read of them. */
function overRows(rows: Map<HostId, number>) {
  const reads: HostId[] = [];
  const generations = new KnownGenerations(async (hostId) => {
    reads.push(hostId);
    return rows.get(hostId);
  });
  return { generations, reads };
}

test("what was found is remembered until it is forgotten", async () => {
  const rows = new Map([
    [HOST, 1],
    [OTHER, 4],
  ]);
  const { generations, reads } = overRows(rows);
  expect([await generations.find(HOST), await generations.find(HOST), await generations.find(OTHER)]).toEqual([
    1, 1, 4,
  ]);
  expect(reads).toEqual([HOST, OTHER]);
  rows.set(HOST, 2);
  generations.forget([HOST]);
  expect([await generations.find(HOST), await generations.find(OTHER)]).toEqual([2, 4]);
  expect(reads).toEqual([HOST, OTHER, HOST]);
  generations.forgetAll();
  await generations.find(OTHER);
  expect(reads).toHaveLength(4);
});

test("a host that is unknown is asked for each time: it may be enrolled any moment", async () => {
  const rows = new Map<HostId, number>();
  const { generations } = overRows(rows);
  expect(await generations.find(HOST)).toBeUndefined();
  rows.set(HOST, 1);
  expect(await generations.find(HOST)).toBe(1);
});

test("what was read before something was forgotten is not remembered", async () => {
  const answer = Promise.withResolvers<number>();
  let reads = 0;
  const generations = new KnownGenerations(() => {
    reads += 1;
    return reads === 1 ? answer.promise : Promise.resolve(2);
  });
  const early = generations.find(HOST);
  generations.forget([HOST]);
  answer.resolve(1);
  expect(await early).toBe(1);
  expect(await generations.find(HOST)).toBe(2);
});
