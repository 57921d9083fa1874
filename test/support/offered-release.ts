/** A release as a server offers it to one host: everything that the host is told, each part of which may be a lie. */
import { hash } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { BlockEncoding, type FetchBlocksRequest, type FetchBlocksResponse } from "../../gen/rollcall/v1/agent_pb.js";
import { ManifestSchema, type ManifestArtifact } from "../../gen/rollcall/v1/release_pb.js";
import type { SecretKey } from "../../agent/release/secret-key.ts";
import { signManifest, type SignedDocument } from "./test-keys.ts";
import { TEST_PUBLISHER } from "./test-release.ts";
import { buildVersionElf } from "./tiny-elf.ts";

/** One block as it is sent. */
export type SentBlock = Pick<FetchBlocksResponse, "index" | "encoding" | "data">;

/** What the server says and sends. */
export interface Offer {
  /** In the command. */
  readonly toVersion: string;
  readonly manifestSha256: Uint8Array;
  readonly manifest: SignedDocument;
  readonly keySet: SignedDocument;
  readonly blockList: Uint8Array;
  readonly sendBlocks: (request: FetchBlocksRequest) => Iterable<SentBlock> | AsyncIterable<SentBlock>;
}

/** What a release is made of; what is left out is as TEST_PUBLISHER would have it. */
export interface OfferOrder {
  readonly version?: string;
  readonly sequence?: bigint;
  readonly permittedFloor?: bigint;
  readonly product?: string;
  readonly program?: Buffer;
  readonly signedBy?: SecretKey;
  readonly keySet?: SignedDocument;
  /** What the manifest says of the program although it is otherwise. */
  readonly lies?: Partial<Omit<ManifestArtifact, "$typeName" | "$unknown">>;
}

/** No document at all. */
export const NO_DOCUMENT: SignedDocument = { bytes: Buffer.alloc(0), signature: Buffer.alloc(0) };

const BLOCK_SIZE_BYTES = 16 * 1024;
/** *Units*: bytes of each program that prints a version. */
export const PROGRAM_BYTES = 100_000;

/** An honest offer of a program that prints its version. */
export function createOffer(order: OfferOrder = {}): Offer {
  const { version = "2.0.0", program = buildVersionElf(version, PROGRAM_BYTES) } = order;
  const blockList = listBlocks(program);
  const manifest = signManifest(
    order.signedBy ?? TEST_PUBLISHER.signingKey,
    create(ManifestSchema, {
      format: 1,
      product: order.product ?? "rollcall-agent",
      version,
      sequence: order.sequence ?? 2n,
      permittedFloor: order.permittedFloor ?? 0n,
      createdAt: { seconds: 1_760_000_000n },
      artifacts: [
        {
          platform: "linux-x64",
          fileName: "rollcall-agent",
          sizeBytes: BigInt(program.length),
          sha256: hash("sha256", program),
          blockSizeBytes: BLOCK_SIZE_BYTES,
          blockListSha256: hash("sha256", blockList),
          ...order.lies,
        },
      ],
    }),
  );
  return {
    toVersion: version,
    manifestSha256: hash("sha256", manifest.bytes, "buffer"),
    manifest,
    keySet: order.keySet ?? TEST_PUBLISHER.keySet,
    blockList,
    sendBlocks: (request) => sendBlocks(program, request),
  };
}

/** The same offer with another manifest, announced as if it were the right one. */
export function withManifest(offer: Offer, manifest: SignedDocument): Offer {
  return { ...offer, manifest, manifestSha256: hash("sha256", manifest.bytes, "buffer") };
}

function listBlocks(program: Buffer): Buffer {
  const digests: Buffer[] = [];
  for (let start = 0; start < program.length; start += BLOCK_SIZE_BYTES) {
    digests.push(hash("sha256", program.subarray(start, start + BLOCK_SIZE_BYTES), "buffer"));
  }
  return Buffer.concat(digests);
}

function* sendBlocks(program: Buffer, request: FetchBlocksRequest): Iterable<SentBlock> {
  for (const { first, count } of request.ranges) {
    for (let index = first; index < first + count; index += 1) {
      const data = program.subarray(index * BLOCK_SIZE_BYTES, (index + 1) * BLOCK_SIZE_BYTES);
      yield { index, encoding: BlockEncoding.IDENTITY, data };
    }
  }
}
