/** One version of a package. */
export interface Release {
  readonly package: string;
  readonly version: string;
  readonly sequence: number;
  readonly importedAt: Date;
  readonly artifacts: readonly ReleaseArtifact[];
  /** True for the version the fleet should run. */
  readonly isTarget: boolean;
}

/** Its program for one platform. */
export interface ReleaseArtifact {
  readonly platform: string;
  readonly sizeBytes: number;
  /** Lower-case hex. */
  readonly sha256: string;
  readonly isQuarantined: boolean;
}
