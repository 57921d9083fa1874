import type { Artifact } from "../../agent/updater/update-platform.ts";

/** Mistakes that an updater could make, and a campaign must catch. */
export type Flaw =
  | "moves the binary away first"
  | "writes in place"
  | "journals last"
  | "keeps no predecessor"
  | "skips the fsync of the new binary";

/** What one run of the harness is asked to do; its one argument, as JSON. */
export interface HarnessOrder {
  readonly binaryPath: string;
  readonly stateDir: string;
  readonly configPath: string;
  readonly ownVersion: string;
  readonly artifactPath: string;
  readonly artifact: Artifact;
  readonly jobId: string;
  /** Set to stop once the last update is confirmed. */
  readonly isConfirmOnly?: boolean;
  /** Set for the deliberately broken updaters that a campaign must catch. */
  readonly flaw?: Flaw;
}
