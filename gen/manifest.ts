/**
 * Reads and writes `manifest.json`. The build writes it, the server imports it,
 * the agent trusts nothing else about an artifact.
 */
import { fromJson, toJson, type JsonValue } from "@bufbuild/protobuf";
import { ManifestSchema, type Manifest } from "./rollcall/v1/release_pb.js";
import { findViolation } from "./rules.ts";

/** *Units*: bytes. A longer manifest is refused before it is parsed. */
export const MAX_MANIFEST_BYTES = 256 * 1024;

/** The bytes of a manifest: the same message always gives the same bytes. */
export function encodeManifest(manifest: Manifest): Buffer {
  return Buffer.from(`${JSON.stringify(toJson(ManifestSchema, manifest, { alwaysEmitImplicit: true }), null, 2)}\n`);
}

/**
 * Parses a manifest strictly: size, UTF-8, no key twice in one object, every field within its rule,
 * no platform twice.
 *
 * *Throws* Error that names what is wrong.
 */
export function decodeManifest(bytes: Uint8Array): Manifest {
  if (bytes.length > MAX_MANIFEST_BYTES)
    throw new Error(`the manifest has ${bytes.length} bytes, at most ${MAX_MANIFEST_BYTES} are read`);
  const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  const json = JSON.parse(text) as JsonValue;
  refuseRepeatedKeys(text);
  const manifest = fromJson(ManifestSchema, json, { ignoreUnknownFields: true });
  const violation = findViolation(ManifestSchema, manifest);
  if (violation !== undefined) throw new Error(`the manifest's ${violation.field} ${violation.problem}`);
  const platforms = manifest.artifacts.map((artifact) => artifact.platform);
  const repeated = platforms.find((platform, index) => platforms.indexOf(platform) !== index);
  if (repeated !== undefined) throw new Error(`the manifest has two artifacts for ${repeated}`);
  return manifest;
}

/** How many blocks an artifact has. */
export function countBlocks(sizeBytes: number, blockSizeBytes: number): number {
  return Math.ceil(sizeBytes / blockSizeBytes);
}

/**
 * JSON.parse keeps the last of two equal keys; another reader of the same signed
 * bytes may keep the first. `text` is known to be valid JSON here.
 */
function refuseRepeatedKeys(text: string): void {
  const scopes: (Set<string> | undefined)[] = [];
  const tokens = /"(?:[^"\\]|\\.)*"|[{}[\]]/g;
  for (let token = tokens.exec(text); token !== null; token = tokens.exec(text)) {
    const [word] = token;
    if (word === "{") scopes.push(new Set());
    else if (word === "[") scopes.push(undefined);
    else if (word === "}" || word === "]") scopes.pop();
    else if (/^\s*:/.test(text.slice(tokens.lastIndex, tokens.lastIndex + 64))) {
      const keys = scopes.at(-1);
      const key = JSON.parse(word) as string;
      if (keys?.has(key)) throw new Error(`the manifest holds the key ${word} twice`);
      keys?.add(key);
    }
  }
}
