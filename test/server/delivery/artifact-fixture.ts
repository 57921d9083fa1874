/** Artifacts on disk, and what a delivery reads of them. */
import { createCipheriv, createHash } from "node:crypto";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { type BlockEncoding, FetchBlocksResponseSchema } from "../../../gen/rollcall/v1/agent_pb.js";
import { BlockStore } from "../../../server/delivery/block-store.ts";
import type { ArtifactFile, OpenBlocks } from "../../../server/stream/ports.ts";
import { plainBlock } from "../../support/plain-block.ts";

export const BLOCK = 65_536;

/** An artifact, and the folder that its cache is written to. */
export interface ArtifactFixture extends AsyncDisposable {
  readonly content: Buffer;
  readonly artifact: ArtifactFile;
  readonly cacheFolder: string;
  /** What was logged: level and event. */
  readonly log: readonly string[];
  /** A store as a new process makes it; ended with the fixture. */
  openStore(): BlockStore;
  /** Names below the cache folder. */
  caches(): Promise<readonly string[]>;
  /** Resolves once this line was logged so many times. */
  untilLogged(line: string, times?: number): Promise<void>;
}

/** What is logged once a cache is ready. */
export const CACHED = "info an artifact's blocks are compressed";
/** What is logged when one turns out to be damaged. */
export const DAMAGED = "warn a cache of compressed blocks is damaged; it is made anew";

/** Every second block shrinks, the others do not. */
export async function createArtifact(sizeBytes: number): Promise<ArtifactFixture> {
  const folder = await mkdtemp(join(tmpdir(), "rollcall-artifact-"));
  const content = createCipheriv("aes-128-ctr", Buffer.alloc(16), Buffer.alloc(16)).update(Buffer.alloc(sizeBytes));
  for (let start = 0; start < sizeBytes; start += 2 * BLOCK) content.subarray(start, start + BLOCK).fill("rollcall ");
  const blocks = Array.from({ length: Math.ceil(sizeBytes / BLOCK) }, (_, index) =>
    createHash("sha256")
      .update(content.subarray(index * BLOCK, (index + 1) * BLOCK))
      .digest(),
  );
  const artifact: ArtifactFile = {
    artifactPath: join(folder, "artifact"),
    sha256: createHash("sha256").update(content).digest("hex"),
    blockList: Buffer.concat(blocks),
    sizeBytes,
    blockSizeBytes: BLOCK,
  };
  await writeFile(artifact.artifactPath, content);
  const cacheFolder = join(folder, "caches");
  const log: string[] = [];
  const waiting = new Set<() => void>();
  const stores: BlockStore[] = [];
  const fixture: ArtifactFixture = {
    content,
    artifact,
    cacheFolder,
    log,
    openStore: () => {
      const store = new BlockStore({
        folder: cacheFolder,
        log: (level, event) => {
          log.push(`${level} ${event}`);
          for (const look of waiting) look();
        },
      });
      stores.push(store);
      return store;
    },
    caches: () => readdir(cacheFolder).catch(() => []),
    untilLogged: (line, times = 1) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (log.filter((entry) => entry === line).length < times) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      }),
    [Symbol.asyncDispose]: async () => {
      for (const store of stores) await store[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    },
  };
  return fixture;
}

/** One block as it was read. */
export interface ReadBlock {
  readonly index: number;
  readonly encoding: BlockEncoding;
  readonly wireBytes: number;
  readonly plain: Buffer;
}

/** Reads blocks through a delivery of their own. */
export async function readBlocks(
  store: BlockStore,
  artifact: ArtifactFile,
  ranges: Parameters<OpenBlocks["read"]>[0],
): Promise<readonly ReadBlock[]> {
  await using open = await store.open(artifact);
  return await drain(open, ranges);
}

/** Reads blocks through a delivery that is open. */
export async function drain(open: OpenBlocks, ranges: Parameters<OpenBlocks["read"]>[0]): Promise<ReadBlock[]> {
  const blocks: ReadBlock[] = [];
  for await (const messages of open.read(ranges)) {
    for (const { message, data } of messages) {
      const { index, encoding, data: sent } = fromBinary(FetchBlocksResponseSchema, message);
      const plain = plainBlock({ encoding, data: sent });
      blocks.push({ index, encoding, wireBytes: data.length, plain });
    }
  }
  return blocks;
}

/** Reads every block. */
export function readAll(store: BlockStore, artifact: ArtifactFile): Promise<readonly ReadBlock[]> {
  return readBlocks(store, artifact, [{ first: 0, count: Math.ceil(artifact.sizeBytes / BLOCK) }]);
}
