/** Artifacts behind the jobs of a listener under test, and what a call gets of them. */
import { createCipheriv, createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ClientReadableStream } from "@grpc/grpc-js";
import { expect } from "vitest";
import type { FetchBlocksResponse } from "../../../gen/rollcall/v1/agent_pb.js";
import type { Delivery } from "../../../server/stream/ports.ts";
import { endOf, type CallEnd } from "../../support/scripted-agent.ts";
import { eventually, expectClean, type TestListener } from "./test-listener.ts";

export const BLOCK = 65_536;

/** Where artifacts are written. The test file removes it at its end. */
export const artifactFolder = mkdtempSync(join(tmpdir(), "rollcall-fetch-"));

/** Puts an artifact of `sizeBytes` behind the job. Its bytes differ from block to block, and none shrinks. */
export function deliver(
  server: TestListener,
  sizeBytes: number,
): { readonly content: Buffer; readonly delivery: Delivery } {
  // The same bytes each time, that nothing makes smaller.
  const content = createCipheriv("aes-128-ctr", Buffer.alloc(16), Buffer.alloc(16)).update(Buffer.alloc(sizeBytes));
  const artifactPath = join(artifactFolder, `artifact-${sizeBytes}`);
  writeFileSync(artifactPath, content);
  const delivery: Delivery = {
    manifest: Buffer.from("{}"),
    signature: Buffer.from("signature"),
    keys: Buffer.from("keys"),
    keysSignature: Buffer.from("signature of keys"),
    // No block is what this says, so nothing is cached.
    blockList: Buffer.alloc(32 * Math.ceil(sizeBytes / BLOCK), 7),
    artifactPath,
    sha256: createHash("sha256").update(content).digest("hex"),
    sizeBytes,
    blockSizeBytes: BLOCK,
    bytesDelivered: 0,
  };
  server.deliveries.delivery = delivery;
  return { content, delivery };
}

/** Artifacts that this process has open. */
export function openArtifacts(): number {
  return readdirSync("/proc/self/fd").filter((descriptor) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`).startsWith(artifactFolder);
    } catch {
      // Closed since it was listed.
      return false;
    }
  }).length;
}

/** Everything that a call gets. */
export async function collect(
  call: ClientReadableStream<FetchBlocksResponse>,
): Promise<{ readonly blocks: readonly FetchBlocksResponse[]; readonly end: CallEnd }> {
  const blocks: FetchBlocksResponse[] = [];
  const end = endOf(call);
  call.on("data", (block: FetchBlocksResponse) => blocks.push(block));
  return { end: await end, blocks };
}

/** Ends the listener and checks that nothing of it is left, no open artifact either. */
export async function expectCleanFiles(server: TestListener): Promise<void> {
  await eventually(() => server.listener.counts.transfers === 0 && openArtifacts() === 0);
  await expectClean(server);
  expect(server.log.entries).toHaveLength(0);
}
