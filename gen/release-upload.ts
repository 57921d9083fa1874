/** A release on its way to a server: the files of one folder as the messages of ImportRelease. */
import { open, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { decodeManifest } from "./manifest.ts";
import type { ImportReleaseRequestSchema } from "./rollcall/v1/catalog_pb.js";
import type { Manifest, ManifestArtifact } from "./rollcall/v1/release_pb.js";

/** *Units*: bytes of an artifact in one message. */
const CHUNK_BYTES = 256 * 1024;

/** One message of an upload. */
export type ReleaseMessage = MessageInitShape<typeof ImportReleaseRequestSchema>;

/** The documents of a release, read; its artifacts are read while they are sent. */
export interface ReleaseFolder {
  readonly folder: string;
  readonly manifest: Manifest;
  readonly documents: ReleaseMessage;
}

/** A file of a release cannot be read, or is none of a release's. */
export class UnreadableReleaseError extends Error {}

/** Told of each tenth of an artifact that was sent. *Units*: percent, bytes. */
export type ReleaseProgress = (file: string, percent: number, sizeBytes: number) => void;

/** Reads the documents in a folder. *Throws* UnreadableReleaseError that names the file. */
export async function readReleaseFolder(folder: string): Promise<ReleaseFolder> {
  const read = async (file: string): Promise<Buffer> => {
    const path = join(folder, file);
    return await readFile(path).catch((error: unknown) => {
      throw new UnreadableReleaseError(`${path} cannot be read: ${(error as Error).message}`, { cause: error });
    });
  };
  const manifest = await read("manifest.json");
  const value = {
    manifest,
    signature: await read("manifest.json.minisig"),
    keys: await read("keys.json"),
    keysSignature: await read("keys.json.minisig"),
  };
  try {
    return { folder, manifest: decodeManifest(manifest), documents: { part: { case: "documents", value } } };
  } catch (error) {
    const path = join(folder, "manifest.json");
    throw new UnreadableReleaseError(`${path}: ${(error as Error).message}`, { cause: error });
  }
}

/**
 * Sends a release by `upload` and tells what that answered.
 *
 * *Throws* UnreadableReleaseError when an artifact cannot be read; else what `upload` throws.
 */
export async function uploadRelease<Answer>(
  release: ReleaseFolder,
  upload: (messages: AsyncIterable<ReleaseMessage>) => Promise<Answer>,
  progress: ReleaseProgress,
): Promise<Answer> {
  // What cannot be read here reaches the transport as a failed stream, which words it in its own way.
  const unreadable: Error[] = [];
  try {
    return await upload(readMessages(release, progress, unreadable));
  } catch (error) {
    const [problem] = unreadable;
    throw problem === undefined ? error : new UnreadableReleaseError(problem.message, { cause: problem });
  }
}

async function* readMessages(
  release: ReleaseFolder,
  progress: ReleaseProgress,
  unreadable: Error[],
): AsyncGenerator<ReleaseMessage> {
  yield release.documents;
  for (const artifact of release.manifest.artifacts) {
    try {
      yield* readChunks(release.folder, artifact, progress);
    } catch (error) {
      unreadable.push(error as Error);
      throw error;
    }
  }
}

async function* readChunks(
  folder: string,
  artifact: ManifestArtifact,
  progress: ReleaseProgress,
): AsyncGenerator<ReleaseMessage> {
  const { platform, fileName } = artifact;
  const sizeBytes = Number(artifact.sizeBytes);
  await using file = await open(join(folder, platform, fileName), "r");
  let sentBytes = 0;
  let toldTenths = 0;
  for (;;) {
    // A fresh buffer each time: the transport may still hold the last one.
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(CHUNK_BYTES), 0, CHUNK_BYTES);
    if (bytesRead === 0) return;
    yield { part: { case: "chunk", value: { platform, data: buffer.subarray(0, bytesRead) } } };
    sentBytes += bytesRead;
    const tenths = Math.floor((10 * sentBytes) / sizeBytes);
    if (tenths > toldTenths) progress(`${platform}/${fileName}`, 10 * tenths, sizeBytes);
    toldTenths = tenths;
  }
}
