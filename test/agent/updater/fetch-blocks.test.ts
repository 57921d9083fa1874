import { zstdCompressSync } from "node:zlib";
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import type { CheckedRelease } from "../../../agent/updater/check-release.ts";
import type { Delivery } from "../../../agent/updater/delivery.ts";
import type { Range } from "../../../agent/updater/block-plan.ts";
import { fetchBlocks, type OpeningStage } from "../../../agent/updater/fetch-blocks.ts";
import { UpdateError } from "../../../agent/updater/update-error.ts";
import { FETCH_LIMITS, type FetchContext } from "../../../agent/updater/fetch-release.ts";
import type { Stage } from "../../../agent/updater/update-platform.ts";
import {
  BlockEncoding,
  FetchBlocksResponseSchema,
  type FetchBlocksResponse,
} from "../../../gen/rollcall/v1/agent_pb.js";
import { JobReason } from "../../../gen/rollcall/v1/model_pb.js";
import { FakeClock } from "../fake-clock.ts";
import { createTestRelease, sendBlocks } from "../test-release.ts";

const release = createTestRelease("2.0.0");

const checked = {
  artifact: { sizeBytes: release.artifact.length, blockSizeBytes: 4096 },
  blockDigests: Array.from({ length: 6 }, (_, index) => release.blockList.subarray(index * 32, index * 32 + 32)),
} as unknown as CheckedRelease;

const STILL_WAITING = create(FetchBlocksResponseSchema, {});

type Take = (block: FetchBlocksResponse) => Promise<void>;
type Serve = (take: Take, ranges: readonly Range[], signal: AbortSignal) => Promise<unknown>;

/** A stage that has `present`, and what was written to it. */
function createStage(present: readonly number[] = []): { readonly stage: Stage; readonly written: readonly number[] } {
  const written: number[] = [];
  const stage: Pick<Stage, "present" | "write"> = { present, write: async (index) => void written.push(index) };
  return { stage: stage as Stage, written };
}

/** Fetches the release into a stage from a server that does what `serve` does, and then sends what was asked for unless that did. */
async function fetchInto(opening: OpeningStage, clock: FakeClock, serve: Serve): Promise<void> {
  const delivery: Pick<Delivery, "fetchBlocks"> = {
    fetchBlocks: async (_jobId, ranges, take, signal) => {
      if ((await serve(take, ranges, signal)) === "everything") return;
      signal.throwIfAborted();
      for (const block of sendBlocks(release, { ranges } as never)) {
        await take(create(FetchBlocksResponseSchema, block));
      }
    },
  };
  const context: FetchContext = {
    source: () => delivery as Delivery,
    clock,
    random: { next: () => 0.5, uuid: () => "" },
    limits: FETCH_LIMITS,
    signal: new AbortController().signal,
  };
  await fetchBlocks("job", checked, opening, context, () => undefined);
}

/** Fetches the whole release. *Shape*: what was written. */
async function fetchFrom(clock: FakeClock, serve: Serve): Promise<readonly number[]> {
  const { stage, written } = createStage();
  await fetchInto({ opening: Promise.resolve(stage), expected: undefined }, clock, serve);
  return written;
}

test("an agent waits for as long as its server says that it is busy, and writes nothing meanwhile", async () => {
  const clock = new FakeClock();
  const written = await fetchFrom(clock, async (take) => {
    for (let notice = 0; notice < 240; notice += 1) {
      clock.advance(15_000);
      await take(STILL_WAITING);
    }
  });
  expect(written).toEqual([0, 1, 2, 3, 4, 5]);
  expect(clock.sleeping).toEqual([]);
});

test("an agent whose server stops saying so gives up after 60 s", async () => {
  const clock = new FakeClock();
  const fetched = fetchFrom(clock, async (take) => {
    await take(STILL_WAITING);
    clock.advance(45_000);
    await take(STILL_WAITING);
    // The watch sleeps for what is left of the patience that the last word gave.
    for (let second = 0; second < 60; second += 1) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      clock.advance(1_000);
    }
  });
  await expect(fetched).rejects.toThrow("nothing new came for 60 s");
});

test("blocks are written in the order in which they came, whichever is inflated first", async () => {
  const written = await fetchFrom(new FakeClock(), async (take) => {
    const blocks = [...sendBlocks(release, { ranges: [{ first: 0, count: 6 }] } as never)];
    await Promise.all(
      blocks.map(({ index, data }) => {
        // The first ones have to be inflated, which takes another turn of the loop; the others are there at once.
        const bytes = data as Uint8Array;
        const isCompressed = Number(index) < 2;
        const encoding = isCompressed ? BlockEncoding.ZSTD : BlockEncoding.IDENTITY;
        return take(
          create(FetchBlocksResponseSchema, {
            index: Number(index),
            encoding,
            data: isCompressed ? zstdCompressSync(bytes) : bytes,
          }),
        );
      }),
    );
    return "everything";
  });
  expect(written).toEqual([0, 1, 2, 3, 4, 5]);
});

test("what a stage will lack is on its way while it opens, and is written once it is open", async () => {
  const { stage, written } = createStage([0, 1, 2, 3]);
  const opening = Promise.withResolvers<Stage>();
  const asked: unknown[] = [];
  const fetched = fetchInto(
    { opening: opening.promise, expected: [0, 1, 2, 3] },
    new FakeClock(),
    async (take, ranges) => {
      asked.push(...ranges);
      const [block] = sendBlocks(release, { ranges: [{ first: 4, count: 1 }] } as never);
      const taken = take(create(FetchBlocksResponseSchema, block));
      await new Promise<void>((resolve) => setImmediate(resolve));
      expect(written).toEqual([]);
      opening.resolve(stage);
      await taken;
      await take(create(FetchBlocksResponseSchema, [...sendBlocks(release, { ranges } as never)][1]));
      return "everything";
    },
  );
  await fetched;
  expect(asked).toEqual([{ first: 4, count: 2 }]);
  expect(written).toEqual([4, 5]);
});

test("a block that a stage was expected to have and has not is fetched as well", async () => {
  const { stage, written } = createStage([0, 1, 3]);
  const asked: unknown[] = [];
  await fetchInto(
    { opening: Promise.resolve(stage), expected: [0, 1, 2, 3] },
    new FakeClock(),
    async (_take, ranges) => {
      asked.push(ranges);
    },
  );
  expect(asked).toEqual([[{ first: 4, count: 2 }], [{ first: 2, count: 1 }]]);
  expect(written).toEqual([4, 5, 2]);
});

test("all blocks that were expected, and nothing is asked for", async () => {
  const { stage, written } = createStage([0, 1, 2, 3, 4, 5]);
  await fetchInto({ opening: Promise.resolve(stage), expected: [0, 1, 2, 3, 4, 5] }, new FakeClock(), async () => {
    throw new Error("something was asked for");
  });
  expect(written).toEqual([]);
});

test("a stage that cannot be opened ends the stream, and says why", async () => {
  const opening = Promise.withResolvers<Stage>();
  let isCut = false;
  const fetched = fetchInto(
    { opening: opening.promise, expected: [0] },
    new FakeClock(),
    async (_take, _ranges, signal) => {
      opening.reject(new UpdateError(JobReason.PREFLIGHT_NO_SPACE, { detail: "the disk is full" }));
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
      isCut = true;
    },
  );
  await expect(fetched).rejects.toThrow("the disk is full");
  expect(isCut).toBe(true);
});

test("the last block ends a fetch, whenever the server ends the stream", async () => {
  const { stage, written } = createStage();
  await fetchInto({ opening: Promise.resolve(stage), expected: undefined }, new FakeClock(), async (take, ranges) => {
    for (const block of sendBlocks(release, { ranges } as never)) await take(create(FetchBlocksResponseSchema, block));
    await new Promise<never>(() => undefined);
  });
  expect(written).toEqual([0, 1, 2, 3, 4, 5]);
});
