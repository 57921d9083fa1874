/**
 * Reads and writes `manifest.json`. The build writes it, the server imports it,
 * the agent trusts nothing else about an artifact.
 */
import { ManifestSchema, type Manifest } from "./rollcall/v1/release_pb.js";
import { decodeDocument, encodeDocument, type DocumentKind } from "./signed-document.ts";

/** *Units*: bytes. A longer manifest is refused before it is parsed. */
export const MAX_MANIFEST_BYTES = 256 * 1024;

const MANIFEST: DocumentKind<typeof ManifestSchema> = {
  schema: ManifestSchema,
  name: "manifest",
  maxBytes: MAX_MANIFEST_BYTES,
};

/** The bytes of a manifest: the same message always gives the same bytes. */
export function encodeManifest(manifest: Manifest): Buffer {
  return encodeDocument(MANIFEST, manifest);
}

/** Parses a manifest strictly; no platform may come twice. *Throws* Error that names what is wrong. */
export function decodeManifest(bytes: Uint8Array): Manifest {
  const manifest = decodeDocument(MANIFEST, bytes);
  const platforms = manifest.artifacts.map((artifact) => artifact.platform);
  const repeated = platforms.find((platform, index) => platforms.indexOf(platform) !== index);
  if (repeated !== undefined) throw new Error(`the manifest has two artifacts for ${repeated}`);
  return manifest;
}

/** How many blocks an artifact has. */
export function countBlocks(sizeBytes: number, blockSizeBytes: number): number {
  return Math.ceil(sizeBytes / blockSizeBytes);
}
