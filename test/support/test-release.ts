/** Releases of tiny programs, signed and laid out as a build lays them out. */
import { createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { SecretKey } from "../../agent/release/secret-key.ts";
import { ManifestSchema, type Manifest } from "../../gen/rollcall/v1/release_pb.js";
import { createTestPublisher, signManifest, type SignedDocument, type TestPublisher } from "./test-keys.ts";

const BLOCK_SIZE_BYTES = 64 * 1024;

/** What of a publisher a release is made with. */
export type ReleasePublisher = Pick<TestPublisher, "rootsFile" | "signingKey" | "keySet">;

/** A release to lay out. */
export interface TestRelease {
  readonly version: string;
  readonly sequence: number;
  readonly artifact: Buffer;
  readonly platform?: string;
  readonly permittedFloor?: number;
  readonly installRevision?: number;
  /** Whose root keys `roots.pub` holds; TEST_PUBLISHER when left out. */
  readonly publisher?: ReleasePublisher;
  /** Signs the manifest; the publisher's signing key when left out. */
  readonly signedBy?: SecretKey;
  /** The publisher's first when left out. */
  readonly keySet?: SignedDocument;
}

/** Who publishes the releases of tests that do not care. */
export const TEST_PUBLISHER: TestPublisher = createTestPublisher();

/** Writes `<releasesDir>/<version>` and `roots.pub`, and tells the path of the artifact. */
export async function writeTestRelease(releasesDir: string, release: TestRelease): Promise<string> {
  const publisher = release.publisher ?? TEST_PUBLISHER;
  const platform = release.platform ?? "linux-x64";
  const folder = join(releasesDir, release.version);
  const artifactPath = join(folder, platform, "rollcall-agent");
  await mkdir(join(folder, platform), { recursive: true });
  await writeFile(artifactPath, release.artifact, { mode: 0o755 });
  await writeFile(`${artifactPath}.blocks`, blockListOf(release.artifact));
  const manifest = signManifest(release.signedBy ?? publisher.signingKey, describeTestRelease(release, platform));
  await writeSigned(join(folder, "manifest.json"), manifest);
  await writeSigned(join(folder, "keys.json"), release.keySet ?? publisher.keySet);
  await writeFile(join(releasesDir, "roots.pub"), publisher.rootsFile);
  return artifactPath;
}

function describeTestRelease(release: TestRelease, platform: string): Manifest {
  return create(ManifestSchema, {
    format: 1,
    product: "rollcall-agent",
    version: release.version,
    sequence: BigInt(release.sequence),
    permittedFloor: BigInt(release.permittedFloor ?? 0),
    installRevision: release.installRevision ?? 0,
    createdAt: timestampFromDate(new Date(Date.UTC(2026, 0, release.sequence))),
    artifacts: [
      {
        platform,
        fileName: "rollcall-agent",
        sizeBytes: BigInt(release.artifact.length),
        sha256: createHash("sha256").update(release.artifact).digest("hex"),
        blockSizeBytes: BLOCK_SIZE_BYTES,
        blockListSha256: createHash("sha256").update(blockListOf(release.artifact)).digest("hex"),
      },
    ],
  });
}

async function writeSigned(path: string, document: SignedDocument): Promise<void> {
  await writeFile(path, document.bytes);
  await writeFile(`${path}.minisig`, document.signature);
}

/** sha256 of each block, one after another. */
function blockListOf(artifact: Buffer): Buffer {
  const digests = [];
  for (let start = 0; start < artifact.length; start += BLOCK_SIZE_BYTES) {
    digests.push(
      createHash("sha256")
        .update(artifact.subarray(start, start + BLOCK_SIZE_BYTES))
        .digest(),
    );
  }
  return Buffer.concat(digests);
}
