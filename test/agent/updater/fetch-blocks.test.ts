import { zstdCompressSync } from "node:zlib";
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import type { CheckedRelease } from "../../../agent/updater/check-release.ts";
import type { Delivery } from "../../../agent/updater/delivery.ts";
import { fetchBlocks } from "../../../agent/updater/fetch-blocks.ts";
import { FETCH_LIMITS, type FetchContext } from "../../../agent/updater/fetch-release.ts";
import type { Stage } from "../../../agent/updater/update-platform.ts";
import {
  BlockEncoding,
  FetchBlocksResponseSchema,
  type FetchBlocksResponse,
} from "../../../gen/rollcall/v1/agent_pb.js";
import { FakeClock } from "../fake-clock.ts";
import { createTestRelease, sendBlocks } from "../test-release.ts";

const release = createTestRelease("2.0.0");

const checked = {
  artifact: { sizeBytes: release.artifact.length, blockSizeBytes: 4096 },
  blockDigests: Array.from({ length: 6 }, (_, index) => release.blockList.subarray(index * 32, index * 32 + 32)),
} as unknown as CheckedRelease;

const STILL_WAITING = create(FetchBlocksResponseSchema, {});

/** Fetches the release from a server that does what `serve` does, and then sends it unless that did. *Shape*: what was written. */
async function fetchFrom(
  clock: FakeClock,
  serve: (take: (block: FetchBlocksResponse) => Promise<void>) => Promise<unknown>,
): Promise<readonly number[]> {
  const written: number[] = [];
  const stage: Pick<Stage, "present" | "write"> = {
    present: [],
    write: async (index) => void written.push(index),
  };
  const delivery: Pick<Delivery, "fetchBlocks"> = {
    fetchBlocks: async (_jobId, ranges, take, signal) => {
      if ((await serve(take)) === "everything") return;
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
  await fetchBlocks("job", checked, stage as Stage, context, () => undefined);
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
