import { hash } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { BlockEncoding, type FetchBlocksRequest } from "../../gen/rollcall/v1/agent_pb.js";
import { ManifestSchema } from "../../gen/rollcall/v1/release_pb.js";
import { signManifest, type SignedDocument } from "../support/test-keys.ts";
import { TEST_PUBLISHER } from "../support/test-release.ts";

const BLOCK_SIZE_BYTES = 4096;

/** A small release: five whole blocks and a short one. */
export interface TestRelease {
  readonly artifact: Buffer;
  readonly blocks: readonly Buffer[];
  readonly blockList: Buffer;
  readonly manifest: Buffer;
  readonly manifestSha256: Buffer;
  /** Of the manifest, by TEST_PUBLISHER's signing key. */
  readonly signature: Buffer;
  /** TEST_PUBLISHER's first. */
  readonly keySet: SignedDocument;
}

/** What a manifest may say that is not so. */
export interface ManifestLies {
  readonly product?: string;
  readonly version?: string;
  readonly platform?: string;
  readonly blockListSha256?: string;
  readonly sizeBytes?: bigint;
  readonly blockSizeBytes?: number;
  readonly sequence?: bigint;
  readonly permittedFloor?: bigint;
}

/** A release of `version`, told of by a manifest that may lie. */
export function createTestRelease(version: string, lies: ManifestLies = {}): TestRelease {
  const artifact = Buffer.alloc(5 * BLOCK_SIZE_BYTES + 100, `artifact of ${version} `);
  const blocks = Array.from({ length: 6 }, (_, index) => {
    artifact.writeUInt32LE(index, index * BLOCK_SIZE_BYTES);
    return artifact.subarray(index * BLOCK_SIZE_BYTES, (index + 1) * BLOCK_SIZE_BYTES);
  });
  const blockList = Buffer.concat(blocks.map((block) => hash("sha256", block, "buffer")));
  const { bytes: manifest, signature } = signManifest(
    TEST_PUBLISHER.signingKey,
    create(ManifestSchema, {
      format: 1,
      product: lies.product ?? "rollcall-agent",
      version: lies.version ?? version,
      sequence: lies.sequence ?? 2n,
      permittedFloor: lies.permittedFloor ?? 0n,
      createdAt: { seconds: 1n },
      artifacts: [
        {
          platform: lies.platform ?? "linux-x64",
          fileName: "rollcall-agent",
          sizeBytes: lies.sizeBytes ?? BigInt(artifact.length),
          sha256: hash("sha256", artifact, "hex"),
          blockSizeBytes: lies.blockSizeBytes ?? BLOCK_SIZE_BYTES,
          blockListSha256: lies.blockListSha256 ?? hash("sha256", blockList, "hex"),
        },
      ],
    }),
  );
  const manifestSha256 = hash("sha256", manifest, "buffer");
  return { artifact, blocks, blockList, manifest, manifestSha256, signature, keySet: TEST_PUBLISHER.keySet };
}

/** The blocks that a request asks for, as they are. */
export function* sendBlocks(release: TestRelease, request: FetchBlocksRequest) {
  for (const { first, count } of request.ranges) {
    for (let index = first; index < first + count; index += 1) {
      yield { index, encoding: BlockEncoding.IDENTITY, data: release.blocks[index] ?? Buffer.alloc(0) };
    }
  }
}
