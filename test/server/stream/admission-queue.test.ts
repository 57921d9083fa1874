import { expect, test } from "vitest";
import { AdmissionQueue } from "../../../server/stream/admission-queue.ts";

const staying = new AbortController().signal;

/** Enters and notes the name once inside. */
function enter(queue: AdmissionQueue, name: string, order: string[], signal = staying): Promise<Disposable> {
  return queue.enter(name, signal).then((place) => {
    order.push(name);
    return place;
  });
}

/** Lets everything that is ready go on. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("so many are inside, the others follow in the order they came", async () => {
  const queue = new AdmissionQueue(2);
  const order: string[] = [];
  const places = ["a", "b", "c", "d"].map((name) => enter(queue, name, order));
  await settle();
  expect({ order, inside: queue.inside, waiting: queue.waiting }).toEqual({
    order: ["a", "b"],
    inside: 2,
    waiting: 2,
  });
  (await places[1])?.[Symbol.dispose]();
  await settle();
  (await places[0])?.[Symbol.dispose]();
  await settle();
  expect(order).toEqual(["a", "b", "c", "d"]);
  for (const place of places) (await place)[Symbol.dispose]();
  expect({ inside: queue.inside, waiting: queue.waiting }).toEqual({ inside: 0, waiting: 0 });
});

test("who was there before has its place again, in front of all that came later", async () => {
  const queue = new AdmissionQueue(1);
  const order: string[] = [];
  const inside = await enter(queue, "a", order);
  const lost = new AbortController();
  const lostPlace = enter(queue, "b", order, lost.signal);
  const others = ["c", "d"].map((name) => enter(queue, name, order));
  lost.abort(new Error("its connection broke"));
  await expect(lostPlace).rejects.toThrow("its connection broke");
  const again = enter(queue, "b", order);
  inside[Symbol.dispose]();
  (await again)[Symbol.dispose]();
  for (const place of others) (await place)[Symbol.dispose]();
  expect(order).toEqual(["a", "b", "c", "d"]);
});

test("who gives up waiting takes no place, and a place is given up once", async () => {
  const queue = new AdmissionQueue(1);
  const order: string[] = [];
  const inside = await enter(queue, "a", order);
  const leaving = new AbortController();
  const left = enter(queue, "b", order, leaving.signal);
  leaving.abort(new Error("gone"));
  await expect(left).rejects.toThrow("gone");
  await expect(queue.enter("c", leaving.signal)).rejects.toThrow("gone");
  inside[Symbol.dispose]();
  inside[Symbol.dispose]();
  expect({ inside: queue.inside, waiting: queue.waiting, isFull: queue.isFull }).toEqual({
    inside: 0,
    waiting: 0,
    isFull: false,
  });
});
