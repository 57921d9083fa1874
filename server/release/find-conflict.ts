/** A version and a sequence name one release for ever, also once it was removed. */

/** What is asked about a release that is to be imported. */
export interface NamedRelease {
  readonly version: string;
  readonly sequence: number;
  readonly manifestSha256: Uint8Array;
  readonly artifacts: readonly NamedArtifact[];
}

interface NamedArtifact {
  readonly platform: string;
  readonly sha256: string;
}

/** Releases, present and removed, of the same version or the same sequence. */
export interface Namesakes {
  readonly present: readonly Pick<NamedRelease, "version" | "sequence" | "manifestSha256">[];
  readonly removed: readonly (Pick<NamedRelease, "version" | "sequence"> & NamedArtifact)[];
}

/** What stands against an import: a sentence without full stop, or `undefined`. */
export function findConflict(release: NamedRelease, { present, removed }: Namesakes): string | undefined {
  const { version, sequence } = release;
  const other = [...present, ...removed].find((named) => named.version !== version || named.sequence !== sequence);
  if (other?.version === version) return `${version} is known with the sequence ${other.sequence}, not ${sequence}`;
  if (other !== undefined) return `the sequence ${sequence} is that of ${other.version}`;
  if (present.some(({ manifestSha256 }) => !Buffer.from(manifestSha256).equals(release.manifestSha256)))
    return `${version} is known with another manifest`;
  if (removed.length > 0 && describe(removed) !== describe(release.artifacts))
    return `${version} was removed, and its artifacts were others`;
  return undefined;
}

/** True when this very release is known. */
export function isKnown(release: NamedRelease, { present }: Namesakes): boolean {
  return present.some(({ manifestSha256 }) => Buffer.from(manifestSha256).equals(release.manifestSha256));
}

function describe(artifacts: readonly NamedArtifact[]): string {
  return artifacts
    .map(({ platform, sha256 }) => `${platform} ${sha256}`)
    .sort()
    .join("\n");
}
