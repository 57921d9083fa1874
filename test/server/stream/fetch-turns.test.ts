import { once } from "node:events";
import { rmSync } from "node:fs";
import { status as Status } from "@grpc/grpc-js";
import { afterAll, describe, expect, test } from "vitest";
import { BlockEncoding, type FetchBlocksResponse } from "../../../gen/rollcall/v1/agent_pb.js";
import { Refusal_Reason } from "../../../gen/rollcall/v1/model_pb.js";
import { endOf, type CallEnd } from "../../support/scripted-agent.ts";
import { artifactFolder, BLOCK, collect, deliver, expectCleanFiles } from "./delivered-artifact.ts";
import { openResources } from "./open-resources.ts";
import { startProxy } from "./tcp-proxy.ts";
import { eventually, HOST, JOB, numberedHost, OTHER_HOST, startListener, type TestListener } from "./test-listener.ts";

/** A host that fetches, and what came of it. */
interface Fetching extends Disposable {
  readonly jobId: string;
  readonly blocks: readonly FetchBlocksResponse[];
  /** Messages that only said that the host waits. */
  readonly notices: readonly FetchBlocksResponse[];
  readonly end: Promise<CallEnd>;
  cancel(): void;
}

/** Host `number` asks for so many blocks from the first on. */
function fetch(server: TestListener, number: number, count: number): Fetching {
  const { hostId, jobId } = numberedHost(number);
  server.credentials.hosts.add(hostId);
  server.deliveries.jobs.set(hostId, jobId);
  const agent = server.agent(hostId);
  const call = agent.fetchBlocks(jobId, [{ first: 0, count }]);
  const blocks: FetchBlocksResponse[] = [];
  const notices: FetchBlocksResponse[] = [];
  call.on("data", (block: FetchBlocksResponse) =>
    (block.encoding === BlockEncoding.UNSPECIFIED ? notices : blocks).push(block),
  );
  return {
    jobId,
    blocks,
    notices,
    end: endOf(call),
    cancel: () => call.cancel(),
    [Symbol.dispose]: () => agent[Symbol.dispose](),
  };
}

const countsOf = async (server: TestListener, active: number, waiting: number): Promise<void> =>
  eventually(() => server.turns.counts.active === active && server.turns.counts.waiting === waiting);

/** Lets a tenth of a second pass again and again until `isTrue`. */
async function passTime(server: TestListener, isTrue: () => boolean): Promise<void> {
  while (!isTrue()) {
    server.clock.advance(100);
    for (let turn = 0; turn < 20 && !isTrue(); turn += 1) await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

describe("a host that waits for a place", () => {
  test("counts as waiting, and follows when one is free", async () => {
    await using server = await startListener({}, { maxConcurrent: 1, bytesPerSecond: BLOCK });
    deliver(server, 4 * BLOCK);
    using first = fetch(server, 1, 2);
    await eventually(() => first.blocks.length === 1);
    using second = fetch(server, 2, 1);
    await countsOf(server, 1, 1);
    expect(server.turns.waitingJobs).toContain(second.jobId);
    await passTime(server, () => second.blocks.length === 1);
    expect((await first.end).code).toBe(Status.OK);
    expect((await second.end).code).toBe(Status.OK);
    expect(second.notices).toHaveLength(0);
    expect(server.turns.counts).toEqual({ active: 0, waiting: 0 });
    expect(server.turns.waitingJobs).toEqual([]);
    await expectCleanFiles(server);
  });

  test("hears every 15 s that it waits, for as long as it does", async () => {
    await using server = await startListener({ transferStallMs: 10_000_000 }, { maxConcurrent: 1 });
    await using proxy = await startProxy(server.listener.address.port);
    deliver(server, 32 * 1_048_576);
    using stalled = server.agent(HOST, { address: proxy.address });
    const blocking = stalled.fetchBlocks(JOB, [{ first: 0, count: 512 }]);
    const blockingEnd = endOf(blocking);
    await once(blocking, "data");
    proxy.freeze();
    using waiting = fetch(server, 1, 3);
    await countsOf(server, 1, 1);
    for (let notice = 1; notice <= 20; notice += 1) {
      await server.clock.scheduled(15_000);
      server.clock.advance(15_000);
      await eventually(() => waiting.notices.length === notice);
    }
    expect(waiting.blocks).toHaveLength(0);
    server.listener.disconnect(HOST, new Error("enough"));
    expect((await waiting.end).code).toBe(Status.OK);
    expect(waiting.blocks).toHaveLength(3);
    proxy.reset();
    await blockingEnd;
    await eventually(() => server.listener.counts.transfers === 0);
  });

  test("is refused when its job has ended meanwhile", async () => {
    await using server = await startListener({}, { maxConcurrent: 1, bytesPerSecond: BLOCK });
    deliver(server, 4 * BLOCK);
    using first = fetch(server, 1, 2);
    using second = fetch(server, 2, 1);
    await countsOf(server, 1, 1);
    server.deliveries.jobs.delete(numberedHost(2).hostId);
    await passTime(server, () => first.blocks.length === 2);
    expect((await first.end).code).toBe(Status.OK);
    expect(await second.end).toMatchObject({
      code: Status.FAILED_PRECONDITION,
      refusal: { reason: Refusal_Reason.NOT_IN_JOB },
    });
    await expectCleanFiles(server);
  });

  test("takes no place when it leaves", async () => {
    await using server = await startListener({}, { maxConcurrent: 1, bytesPerSecond: BLOCK });
    deliver(server, 4 * BLOCK);
    using first = fetch(server, 1, 2);
    await eventually(() => first.blocks.length === 1);
    using second = fetch(server, 2, 1);
    await countsOf(server, 1, 1);
    second.cancel();
    expect((await second.end).code).toBe(Status.CANCELLED);
    await countsOf(server, 1, 0);
    await passTime(server, () => first.blocks.length === 2);
    expect((await first.end).code).toBe(Status.OK);
    await expectCleanFiles(server);
  });
});

describe("bytes a second", () => {
  test("are shared by all hosts in turns, block by block, until every one has everything", async () => {
    await using server = await startListener({}, { bytesPerSecond: BLOCK });
    deliver(server, 4 * BLOCK);
    // Somebody else's block went out just now, so that every host has to wait.
    expect(server.turns.nextBlock("other", BLOCK, new AbortController().signal)).toBeUndefined();
    const hosts = Array.from({ length: 12 }, (_, number) => fetch(server, number, 4));
    const received = (): number => hosts.reduce((sum, { blocks }) => sum + blocks.length, 0);
    await eventually(() => server.turns.waitingJobs.length === 12);
    for (let block = 1; block <= 48; block += 1) {
      await passTime(server, () => received() === block);
      const shares = hosts.map(({ blocks }) => blocks.length);
      expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1);
    }
    for (const host of hosts) {
      expect((await host.end).code).toBe(Status.OK);
      host[Symbol.dispose]();
    }
    await expectCleanFiles(server);
  });

  test("that one host does not take are not kept for it: the others go on", async () => {
    await using server = await startListener({ transferStallMs: 10_000_000 }, { bytesPerSecond: 16 * 1_048_576 });
    await using proxy = await startProxy(server.listener.address.port);
    deliver(server, 32 * 1_048_576);
    using stalled = server.agent(HOST, { address: proxy.address });
    const call = stalled.fetchBlocks(JOB, [{ first: 0, count: 512 }]);
    const end = endOf(call);
    await once(call, "data");
    proxy.freeze();
    using other = fetch(server, 1, 256);
    await passTime(server, () => other.blocks.length === 256);
    expect((await other.end).code).toBe(Status.OK);
    server.listener.disconnect(HOST, new Error("enough"));
    await server.clock.scheduled(5_000);
    server.clock.advance(5_000);
    call.cancel();
    await end;
    await eventually(() => server.listener.counts.transfers === 0);
  });
});

test("an agent that takes nothing for 90 s gives its place up", async () => {
  await using server = await startListener({}, { maxConcurrent: 1 });
  await using proxy = await startProxy(server.listener.address.port);
  deliver(server, 32 * 1_048_576);
  server.deliveries.hosts.add(OTHER_HOST);
  using stalled = server.agent(HOST, { address: proxy.address });
  const call = stalled.fetchBlocks(JOB, [{ first: 0, count: 512 }]);
  const end = endOf(call);
  await once(call, "data");
  proxy.freeze();
  using other = server.agent(OTHER_HOST);
  const waiting = collect(other.fetchBlocks(JOB, [{ first: 0, count: 1 }]));
  await countsOf(server, 1, 1);
  server.clock.advance(90_000);
  expect((await waiting).end.code).toBe(Status.OK);
  proxy.reset();
  await end;
  await expectCleanFiles(server);
});

afterAll(async () => {
  rmSync(artifactFolder, { recursive: true });
  await eventually(() => openResources().length === 0);
});
