/** Digests artifacts, and holds them to their manifest. */
import { createHash, type Hash } from "node:crypto";
import { open } from "node:fs/promises";
import { join } from "node:path";
import type { ManifestArtifact } from "../../gen/rollcall/v1/release_pb.js";
import type { CheckedArtifact } from "../domain/release.ts";
import { artifactFile } from "./checked-release.ts";
import { invalidRelease } from "./invalid-release.ts";

/** *Units*: bytes read at once. */
const READ_BYTES = 1_048_576;

/** Digests an artifact as its bytes come, whole and by block. */
export class ArtifactDigest {
  readonly #artifact: ManifestArtifact;
  readonly #whole = createHash("sha256");
  readonly #blocks: Buffer[] = [];
  #block: Hash | undefined;
  #blockBytes = 0;
  #sizeBytes = 0;

  constructor(artifact: ManifestArtifact) {
    this.#artifact = artifact;
  }

  /** *Throws* RefusedError (release_invalid) as soon as there are more bytes than the manifest says. */
  update(bytes: Uint8Array): void {
    this.#sizeBytes += bytes.length;
    if (this.#sizeBytes > Number(this.#artifact.sizeBytes)) throw this.#wrongSize("has more bytes than that");
    this.#whole.update(bytes);
    let rest = bytes;
    while (rest.length > 0) {
      const part = rest.subarray(0, this.#artifact.blockSizeBytes - this.#blockBytes);
      this.#block ??= createHash("sha256");
      this.#block.update(part);
      this.#blockBytes += part.length;
      if (this.#blockBytes === this.#artifact.blockSizeBytes) this.#endBlock();
      rest = rest.subarray(part.length);
    }
  }

  /** Once all bytes were given. *Throws* RefusedError (release_invalid) unless they are what the manifest says. */
  check(): CheckedArtifact {
    const { platform, fileName, sha256, blockSizeBytes, blockListSha256 } = this.#artifact;
    this.#endBlock();
    const sizeBytes = Number(this.#artifact.sizeBytes);
    if (this.#sizeBytes !== sizeBytes) throw this.#wrongSize(`has ${this.#sizeBytes}`);
    const file = artifactFile(this.#artifact);
    const digest = this.#whole.digest("hex");
    if (digest !== sha256)
      throw invalidRelease(file, "wrong_digest", `its sha256 is ${digest}; its manifest says ${sha256}`);
    const blockList = Buffer.concat(this.#blocks);
    if (createHash("sha256").update(blockList).digest("hex") !== blockListSha256)
      throw invalidRelease(file, "wrong_block_list", "its block list has another sha256 than its manifest says");
    return { platform, fileName, sizeBytes, sha256, blockSizeBytes, blockList };
  }

  #endBlock(): void {
    if (this.#block !== undefined) this.#blocks.push(this.#block.digest());
    this.#block = undefined;
    this.#blockBytes = 0;
  }

  #wrongSize(problem: string): Error {
    const { sizeBytes } = this.#artifact;
    return invalidRelease(
      artifactFile(this.#artifact),
      "wrong_size",
      `its manifest says ${sizeBytes} bytes; it ${problem}`,
    );
  }
}

/** Reads an artifact of a release's folder once. *Throws* RefusedError (release_invalid) unless it is what its manifest says. */
export async function checkArtifact(folder: string, artifact: ManifestArtifact): Promise<CheckedArtifact> {
  const digest = new ArtifactDigest(artifact);
  const file = artifactFile(artifact);
  try {
    await using handle = await open(join(folder, file), "r");
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    for (;;) {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length);
      if (bytesRead === 0) return digest.check();
      digest.update(buffer.subarray(0, bytesRead));
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT")
      throw invalidRelease(file, "missing", "there is no such file");
    throw error;
  }
}
