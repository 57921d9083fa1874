import type { Manifest, ManifestArtifact } from "../../gen/rollcall/v1/release_pb.js";
import type { CheckedArtifact, CheckedRelease } from "../domain/release.ts";
import type { CheckedDocuments } from "./check-documents.ts";

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
