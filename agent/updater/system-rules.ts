import type { BootMoment } from "./boot-moment.ts";
import type { UpdatePaths } from "./update-paths.ts";

/** What of an update is another matter on each operating system. Everything else is the same everywhere. */
export interface SystemRules {
  /** `<os>-<arch>` of this host. */
  readonly platform: string;
  /** Whether a program may be started while its file is still open to be made durable. */
  readonly runsWhileOpen: boolean;
  /** Throws UpdateError (preflight_*, swap_failed) when the folders let the binary not be replaced, or by too many. */
  checkFolders(paths: UpdatePaths): Promise<void>;
  /** Puts the stage in the place of the binary, which is running. Throws what the system said; the binary then stands. */
  replaceBinary(paths: UpdatePaths): Promise<void>;
  readMoment(): Promise<BootMoment>;
}
