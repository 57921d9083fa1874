/** Puts the parts of releases together. */
import type { Kysely } from "kysely";
import type { Config } from "./config.ts";
import type { Random } from "./domain/clock.ts";
import type { ReplicaId } from "./domain/ids.ts";
import type { Log } from "./log.ts";
import { ReleaseCatalog } from "./release/release-catalog.ts";
import { ReleaseDesk } from "./release/release-desk.ts";
import { ReleaseDownloads } from "./release/release-downloads.ts";
import { ReleaseFolders } from "./release/release-folders.ts";
import { ReleaseImporter } from "./release/release-importer.ts";
import type { AnnouncedChanges } from "./replicas/announced-changes.ts";
import type { NoticeBoard } from "./replicas/notice-board.ts";
import { createReleaseStore } from "./store/release-store.ts";
import type { Db } from "./store/schema.ts";

/** What the parts are made of. */
export interface ReleaseOptions {
  readonly db: Kysely<Db>;
  readonly config: Config;
  readonly replicaId: ReplicaId;
  readonly version: string;
  readonly random: Random;
  readonly log: Log;
  /** The way to other servers, which may wait for a release of their own version. */
  readonly board: NoticeBoard;
  readonly changes: Pick<AnnouncedChanges, "everythingChanged">;
}

/** Everything about releases that the server works with. */
export interface ReleaseParts {
  readonly folders: ReleaseFolders;
  readonly catalog: ReleaseCatalog;
  readonly importer: ReleaseImporter;
  readonly desk: ReleaseDesk;
  readonly downloads: ReleaseDownloads;
}

/** Makes the parts; other servers' imports are heard from now on. */
export function createReleaseParts(options: ReleaseOptions): ReleaseParts {
  const { db, config, replicaId, version, random, log, board, changes } = options;
  const store = createReleaseStore(db);
  const folders = new ReleaseFolders(config.releasesDir, replicaId, random);
  const catalog = new ReleaseCatalog({ store, folders, serverVersion: version, log });
  const importer = new ReleaseImporter({ store, folders, rootKeysPath: config.rootKeysPath, log });
  const desk = new ReleaseDesk({
    importer,
    catalog,
    // Every host may be behind once the target changed, or no longer.
    targetChanged: () => changes.everythingChanged(),
    imported: () => board.tell("release"),
  });
  const review = (): void =>
    void desk
      .followServerVersion()
      .catch((error: unknown) =>
        log("warn", "the target does not follow this server's version", { error: String(error) }),
      );
  board.hear("release", review);
  board.onLapse(review);
  return { folders, catalog, importer, desk, downloads: new ReleaseDownloads({ store, folders }) };
}
