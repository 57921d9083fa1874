import { expect, test } from "vitest";
import type { ReplicaId } from "../../../server/domain/ids.ts";
import { NoticeBoard } from "../../../server/replicas/notice-board.ts";
import type { NoticeChannel } from "../../../server/replicas/ports.ts";
import { ManualClock } from "../stream/manual-clock.ts";

/** The database's channel in memory: a payload reaches whoever listens, its sender too. */
class MemoryChannel implements NoticeChannel {
  readonly payloads: string[] = [];
  isAway = false;
  readonly #listeners = new Set<(payload: string) => void>();
  readonly #listening: (() => void)[] = [];

  async publish(payloads: readonly string[]): Promise<void> {
    if (this.isAway) throw new Error("away");
    this.payloads.push(...payloads);
    for (const payload of payloads) for (const listener of this.#listeners) listener(payload);
  }

  async listen(onPayload: (payload: string) => void, onListening: () => void): Promise<AsyncDisposable> {
    this.#listeners.add(onPayload);
    this.#listening.push(onListening);
    onListening();
    return { [Symbol.asyncDispose]: async () => void this.#listeners.delete(onPayload) };
  }

  listenAgain(): void {
    for (const listening of this.#listening) listening();
  }
}

async function startBoards(...names: readonly string[]) {
  const clock = new ManualClock();
  const channel = new MemoryChannel();
  const boards = names.map(
    (name) => new NoticeBoard({ channel, replicaId: name as ReplicaId, clock, log: () => undefined }),
  );
  for (const board of boards) await board.start();
  /** Lets what gathered be sent. */
  const pass = async (delayMs: number): Promise<void> => {
    clock.advance(delayMs);
    for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
  };
  return { clock, channel, boards: boards as [NoticeBoard, NoticeBoard], pass };
}

test("every other replica hears, once, and the sender hears nothing of its own", async () => {
  const { boards, channel, pass } = await startBoards("a", "b");
  const heard: string[] = [];
  for (const [index, board] of boards.entries()) board.hear("host", (ids) => heard.push(`${index}: ${ids.join(" ")}`));
  boards[0].tell("host", "x");
  boards[0].tell("host", "y");
  boards[0].tell("host", "x");
  await pass(10);
  expect(heard).toEqual(["1: x y"]);
  expect(channel.payloads.length).toBe(1);
});

test("thousands of ids go in payloads that PostgreSQL takes", async () => {
  const { boards, channel, pass } = await startBoards("a", "b");
  const heard: string[] = [];
  boards[1].hear("host", (ids) => heard.push(...ids));
  const ids = Array.from({ length: 5_000 }, (_, index) => `00000000-0000-4000-8000-${String(index).padStart(12, "0")}`);
  for (const id of ids) boards[0].tell("host", id);
  await pass(10);
  expect(heard).toEqual(ids);
  expect(Math.max(...channel.payloads.map((payload) => Buffer.byteLength(payload)))).toBeLessThan(8_000);
});

test("what could not be sent is sent later", async () => {
  const { boards, channel, pass } = await startBoards("a", "b");
  const heard: string[] = [];
  boards[1].hear("host", (ids) => heard.push(...ids));
  channel.isAway = true;
  boards[0].tell("host", "x");
  await pass(10);
  channel.isAway = false;
  boards[0].tell("host", "y");
  await pass(500);
  expect(heard).toEqual(["x", "y"]);
});

test("who could not be told of too much reads everything, as does who listens again", async () => {
  const { boards, channel, pass } = await startBoards("a", "b");
  const lapses: number[] = [];
  for (const [index, board] of boards.entries()) board.onLapse(() => lapses.push(index));
  channel.isAway = true;
  for (let index = 0; index < 20_001; index += 1) boards[0].tell("host", String(index));
  await pass(10);
  channel.isAway = false;
  await pass(500);
  expect(lapses).toEqual([1]);
  channel.listenAgain();
  expect(lapses).toEqual([1, 0, 1]);
});

test("a topic that a replica does not know is not heard, and does no harm", async () => {
  const { channel } = await startBoards("a", "b");
  await channel.publish([JSON.stringify(["newer", "something new", "x"])]);
});

test("what is left when a replica stops is told", async () => {
  const { boards } = await startBoards("a", "b");
  const heard: string[] = [];
  boards[1].hear("host_removed", (ids) => heard.push(...ids));
  boards[0].tell("host_removed", "x");
  await boards[0][Symbol.asyncDispose]();
  expect(heard).toEqual(["x"]);
});
