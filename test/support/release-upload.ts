/** Uploads of releases, as a client of the API makes them; also of releases that are not whole. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ImportReleaseRequestSchema } from "../../gen/rollcall/v1/catalog_pb.js";
import { writeTestRelease, type TestRelease } from "./test-release.ts";

/** What an upload sends: the documents, then each artifact. */
export interface ReleaseUpload {
  readonly manifest: Buffer;
  readonly signature: Buffer;
  readonly keys: Buffer;
  readonly keysSignature: Buffer;
  readonly artifacts: readonly { readonly platform: string; readonly data: Buffer }[];
}

type Message = MessageInitShape<typeof ImportReleaseRequestSchema>;

/** *Units*: bytes of an artifact in one message. */
const CHUNK_BYTES = 100_000;

/** A release as a build signs it. */
export async function makeUpload(release: TestRelease): Promise<ReleaseUpload> {
  const folder = await mkdtemp(join(tmpdir(), "rollcall-upload-"));
  try {
    const artifactPath = await writeTestRelease(folder, release);
    const read = (file: string) => readFile(join(folder, release.version, file));
    return {
      manifest: await read("manifest.json"),
      signature: await read("manifest.json.minisig"),
      keys: await read("keys.json"),
      keysSignature: await read("keys.json.minisig"),
      artifacts: [{ platform: release.platform ?? "linux-x64", data: await readFile(artifactPath) }],
    };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The messages that carry it. */
export async function* messagesOf(upload: ReleaseUpload): AsyncGenerator<Message> {
  const { artifacts, ...documents } = upload;
  yield { part: { case: "documents", value: documents } };
  for (const { platform, data } of artifacts) {
    for (let start = 0; start < data.length; start += CHUNK_BYTES)
      yield { part: { case: "chunk", value: { platform, data: data.subarray(start, start + CHUNK_BYTES) } } };
  }
}
