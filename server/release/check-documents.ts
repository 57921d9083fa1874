/**
 * Whether the signed documents of a release are what a host would take: a key set
 * that a root key signed, and a manifest that a key of the newest key set signed.
 *
 * Of the key set that comes along and the one that is known, the higher sequence
 * counts. So a thief's key that was revoked signs nothing any more, also with an
 * older key set beside it.
 */
import { createHash } from "node:crypto";
import { decodeManifest, MAX_MANIFEST_BYTES } from "../../gen/manifest.ts";
import { MAX_SIGNATURE_BYTES, type PublicKey } from "../../gen/minisign.ts";
import { MAX_KEY_SET_BYTES, TrustError, verifyKeySet, verifyManifest } from "../../gen/release-trust.ts";
import type { KeySet, Manifest } from "../../gen/rollcall/v1/release_pb.js";
import { AGENT_PACKAGE } from "../domain/host.ts";
import { invalidRelease } from "./invalid-release.ts";

/** Raw bytes of the files beside a release's artifacts. */
export interface ReleaseDocuments {
  readonly manifest: Uint8Array;
  readonly signature: Uint8Array;
  /** This and its signature are empty where none came along. */
  readonly keys: Uint8Array;
  readonly keysSignature: Uint8Array;
}

/** A key set as it is kept. */
export interface SignedKeySet {
  readonly keys: Uint8Array;
  readonly signature: Uint8Array;
}

/** A key set that a root key signed. */
export interface TrustedKeySet extends SignedKeySet {
  readonly keySet: KeySet;
}

/** Documents that hold. */
export interface CheckedDocuments {
  readonly manifest: Manifest;
  readonly manifestBytes: Uint8Array;
  readonly manifestSha256: Buffer;
  readonly signature: Uint8Array;
  readonly signer: { readonly keyId: string; readonly label: string };
  /** The one that counted. */
  readonly keySet: TrustedKeySet;
  /** True when it came along and is to be kept. */
  readonly isNewKeySet: boolean;
}

/** The names of the documents, as a release's folder has them. */
export const DOCUMENT_FILES = {
  manifest: "manifest.json",
  signature: "manifest.json.minisig",
  keys: "keys.json",
  keysSignature: "keys.json.minisig",
} as const satisfies Record<keyof ReleaseDocuments, string>;

/** *Units*: bytes. What is longer is not read. */
export const DOCUMENT_LIMITS: Readonly<Record<keyof ReleaseDocuments, number>> = {
  manifest: MAX_MANIFEST_BYTES,
  signature: MAX_SIGNATURE_BYTES,
  keys: MAX_KEY_SET_BYTES,
  keysSignature: MAX_SIGNATURE_BYTES,
};

/** Checks them in the order in which an agent does. *Throws* RefusedError (release_invalid). */
export function checkDocuments(
  documents: ReleaseDocuments,
  roots: readonly PublicKey[],
  known: SignedKeySet | undefined,
): CheckedDocuments {
  for (const name of ["manifest", "signature", "keys", "keysSignature"] as const)
    checkSize(name, documents[name].length);
  const current = known && findTrusted(known, roots);
  const given = documents.keys.length === 0 ? undefined : trustGiven(documents, roots);
  const keySet = chooseNewest(given, current);
  const signer = trusted(DOCUMENT_FILES.signature, () =>
    verifyManifest(documents.manifest, documents.signature, keySet.keySet),
  );
  return {
    manifest: readManifest(documents.manifest),
    manifestBytes: documents.manifest,
    manifestSha256: createHash("sha256").update(documents.manifest).digest(),
    signature: documents.signature,
    signer: { keyId: signer.key.keyId, label: signer.label },
    keySet,
    isNewKeySet: keySet !== current,
  };
}

/** The known key set, or `undefined` when no root key of today signed it: the publisher's roots were exchanged. */
export function findTrusted(known: SignedKeySet, roots: readonly PublicKey[]): TrustedKeySet | undefined {
  try {
    return { ...known, keySet: verifyKeySet(known.keys, known.signature, roots) };
  } catch {
    return undefined;
  }
}

/** The one of the higher sequence; the known one when both are the same. *Throws* RefusedError (release_invalid). */
function chooseNewest(given: TrustedKeySet | undefined, known: TrustedKeySet | undefined): TrustedKeySet {
  if (given === undefined && known === undefined)
    throw invalidRelease(DOCUMENT_FILES.keys, "missing", "no key set came along and none is known");
  if (given === undefined || known === undefined) return (given ?? known) as TrustedKeySet;
  const [one, other] = [given.keySet.sequence, known.keySet.sequence];
  if (one === other && !Buffer.from(given.keys).equals(known.keys))
    throw invalidRelease(
      DOCUMENT_FILES.keys,
      "keys_conflict",
      `the key set ${one} is known with other bytes; the next one has a higher sequence`,
    );
  return one > other ? given : known;
}

function trustGiven(documents: ReleaseDocuments, roots: readonly PublicKey[]): TrustedKeySet {
  const { keys, keysSignature: signature } = documents;
  const keySet = trusted(DOCUMENT_FILES.keys, () => verifyKeySet(keys, signature, roots));
  return { keys, signature, keySet };
}

function trusted<Result>(file: string, verify: () => Result): Result {
  try {
    return verify();
  } catch (error) {
    if (error instanceof TrustError) throw invalidRelease(file, error.problem, error.message);
    throw error;
  }
}

/** Nobody but the signer wrote these bytes: what is wrong here is the publisher's mistake. */
function readManifest(bytes: Uint8Array): Manifest {
  const file = DOCUMENT_FILES.manifest;
  let manifest: Manifest;
  try {
    manifest = decodeManifest(bytes);
  } catch (error) {
    throw invalidRelease(file, "unreadable", (error as Error).message);
  }
  if (manifest.product !== AGENT_PACKAGE)
    throw invalidRelease(file, "wrong_product", `it is a release of ${manifest.product}, not of ${AGENT_PACKAGE}`);
  for (const { platform, fileName } of manifest.artifacts) {
    // Both become names of files.
    if (platform.startsWith(".") || fileName.startsWith("."))
      throw invalidRelease(file, "wrong_name", `an artifact's name begins with a dot: ${platform}/${fileName}`);
  }
  return manifest;
}

function checkSize(name: keyof ReleaseDocuments, sizeBytes: number): void {
  const limit = DOCUMENT_LIMITS[name];
  if (sizeBytes > limit)
    throw invalidRelease(DOCUMENT_FILES[name], "wrong_size", `it has ${sizeBytes} bytes, at most ${limit} are read`);
}
