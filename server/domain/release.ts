/** One version of a package. */
export interface Release {
  readonly package: string;
  readonly version: string;
  readonly sequence: number;
  readonly importedAt: Date;
  readonly artifacts: readonly ReleaseArtifact[];
  /** True for the version the fleet should run. */
  readonly isTarget: boolean;
  /** Who signed it: the key's id, as minisign prints it, and what its key set calls it. Empty for an unsigned one. */
  readonly keyId: string;
  readonly keyLabel: string;
  /** Signed with development keys. */
  readonly isDevelopment: boolean;
  /** Hosts whose sequence floor is at most this may install it although its sequence is lower. */
  readonly permittedFloor: number;
  /** The oldest install revision of a host that can take it; 0 for any. */
  readonly installRevision: number;
}

/** Its program for one platform. */
export interface ReleaseArtifact {
  readonly platform: string;
  readonly sizeBytes: number;
  /** Lower-case hex. */
  readonly sha256: string;
  readonly isQuarantined: boolean;
  /** Hosts that count against it. */
  readonly rolledBackHosts: number;
}

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
