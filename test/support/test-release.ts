/** Releases of tiny programs, laid out as a build lays them out. */
import { createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { encodeManifest } from "../../gen/manifest.ts";
import { ManifestSchema } from "../../gen/rollcall/v1/release_pb.js";

const BLOCK_SIZE_BYTES = 64 * 1024;

/** A release to lay out. */
export interface TestRelease {
  readonly version: string;
  readonly sequence: number;
  readonly artifact: Buffer;
  readonly platform?: string;
}

/** Writes `<releasesDir>/<version>` and tells the path of the artifact. */
export async function writeTestRelease(releasesDir: string, release: TestRelease): Promise<string> {
  const platform = release.platform ?? "linux-x64";
  const folder = join(releasesDir, release.version);
  const artifactPath = join(folder, platform, "rollcall-agent");
  await mkdir(join(folder, platform), { recursive: true });
  await writeFile(artifactPath, release.artifact, { mode: 0o755 });
  const manifest = create(ManifestSchema, {
    format: 1,
    product: "rollcall-agent",
    version: release.version,
    sequence: BigInt(release.sequence),
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
  await writeFile(join(folder, "manifest.json"), encodeManifest(manifest));
  return artifactPath;
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
