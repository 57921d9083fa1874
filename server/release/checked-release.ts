import type { Manifest, ManifestArtifact } from "../../gen/rollcall/v1/release_pb.js";
import type { CheckedDocuments } from "./check-documents.ts";

/** A release whose files hold what its signed manifest says. */
export interface CheckedRelease {
  readonly package: string;
  readonly version: string;
  readonly sequence: number;
  readonly permittedFloor: number;
  readonly installRevision: number;
  readonly manifest: Uint8Array;
  readonly manifestSha256: Uint8Array;
  readonly signature: Uint8Array;
  readonly keyId: string;
  readonly keyLabel: string;
  readonly isDevelopment: boolean;
  readonly artifacts: readonly CheckedArtifact[];
}

/** One artifact of it. */
export interface CheckedArtifact {
  readonly platform: string;
  readonly fileName: string;
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly blockSizeBytes: number;
  readonly blockList: Uint8Array;
}

/** A release of documents and artifacts that were checked. */
export function toCheckedRelease(documents: CheckedDocuments, artifacts: readonly CheckedArtifact[]): CheckedRelease {
  const { manifest, signer, keySet } = documents;
  return {
    package: manifest.product,
    version: manifest.version,
    sequence: Number(manifest.sequence),
    permittedFloor: Number(manifest.permittedFloor),
    installRevision: manifest.installRevision,
    manifest: documents.manifestBytes,
    manifestSha256: documents.manifestSha256,
    signature: documents.signature,
    keyId: signer.keyId,
    keyLabel: signer.label,
    isDevelopment: keySet.keySet.development,
    artifacts,
  };
}

/** What a manifest says of itself that decides whether it may be imported. */
export function nameRelease(manifest: Manifest, manifestSha256: Uint8Array) {
  return {
    version: manifest.version,
    sequence: Number(manifest.sequence),
    manifestSha256,
    artifacts: manifest.artifacts.map(({ platform, sha256 }) => ({ platform, sha256 })),
  };
}

/** The path of an artifact below its release's folder. */
export function artifactFile(artifact: Pick<ManifestArtifact, "platform" | "fileName">): string {
  return `${artifact.platform}/${artifact.fileName}`;
}
