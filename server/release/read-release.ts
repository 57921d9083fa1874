/** Reads a release from its folder. Nothing is believed before it is checked. */
import { open } from "node:fs/promises";
import { join } from "node:path";
import type { Manifest } from "../../gen/rollcall/v1/release_pb.js";
import { checkArtifact } from "./artifact-digest.ts";
import { DOCUMENT_FILES, DOCUMENT_LIMITS, type ReleaseDocuments } from "./check-documents.ts";
import type { CheckedArtifact } from "../domain/release.ts";
import { invalidRelease } from "./invalid-release.ts";

const NOTHING = new Uint8Array();

/** Reads the documents of a folder. *Throws* RefusedError (release_invalid) for one that is missing or too long. */
export async function readDocuments(folder: string): Promise<ReleaseDocuments> {
  const [manifest, signature, keys, keysSignature] = await Promise.all([
    readDocument(folder, "manifest"),
    readDocument(folder, "signature"),
    readDocument(folder, "keys"),
    readDocument(folder, "keysSignature"),
  ]);
  if (manifest === undefined) throw invalidRelease(DOCUMENT_FILES.manifest, "missing", "there is no such file");
  if (signature === undefined) throw invalidRelease(DOCUMENT_FILES.signature, "missing", "the release is not signed");
  return { manifest, signature, keys: keys ?? NOTHING, keysSignature: keysSignature ?? NOTHING };
}

/** Reads every artifact that the manifest names. *Throws* RefusedError (release_invalid) unless all are what it says. */
export async function checkArtifacts(folder: string, manifest: Manifest): Promise<readonly CheckedArtifact[]> {
  const artifacts: CheckedArtifact[] = [];
  for (const artifact of manifest.artifacts) artifacts.push(await checkArtifact(folder, artifact));
  return artifacts;
}

/** *Shape*: `undefined` when there is no such file. */
async function readDocument(folder: string, name: keyof ReleaseDocuments): Promise<Uint8Array | undefined> {
  const limit = DOCUMENT_LIMITS[name];
  try {
    await using file = await open(join(folder, DOCUMENT_FILES[name]), "r");
    const { size } = await file.stat();
    if (size > limit)
      throw invalidRelease(DOCUMENT_FILES[name], "wrong_size", `it has ${size} bytes, at most ${limit} are read`);
    return await file.readFile();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
