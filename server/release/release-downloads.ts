/** The files of releases as they are downloaded: documents as they were checked, artifacts from the disk. */
import { join } from "node:path";
import { AGENT_PACKAGE } from "../domain/host.ts";
import { DOCUMENT_FILES, type ReleaseDocuments } from "./check-documents.ts";
import { artifactFile } from "./checked-release.ts";
import type { ReleaseFolders } from "./release-folders.ts";

/** What a release consists of. */
export interface ReleaseFiles extends ReleaseDocuments {
  readonly version: string;
  readonly artifacts: readonly {
    readonly platform: string;
    readonly fileName: string;
    readonly sizeBytes: number;
    readonly sha256: string;
  }[];
}

/** What downloads work with. */
export interface ReleaseDownloadParts {
  readonly store: {
    /** The target's without a version. The key set is the newest one. */
    findReleaseFiles(packageName: string, version: string | undefined): Promise<ReleaseFiles | undefined>;
  };
  readonly folders: ReleaseFolders;
}

const TARGET = "target";
const DOCUMENTS = new Map(Object.entries(DOCUMENT_FILES).map(([name, file]) => [file as string, name]));

export class ReleaseDownloads {
  readonly #parts: ReleaseDownloadParts;

  constructor(parts: ReleaseDownloadParts) {
    this.#parts = parts;
  }

  async findReleaseFile(version: string, file: string) {
    const { store, folders } = this.#parts;
    const release = await store.findReleaseFiles(AGENT_PACKAGE, version === TARGET ? undefined : version);
    if (release === undefined) return undefined;
    const document = DOCUMENTS.get(file) as keyof ReleaseDocuments | undefined;
    if (document !== undefined) return describeDocument(file, release[document]);
    const artifact = release.artifacts.find((candidate) => artifactFile(candidate) === file);
    if (artifact === undefined) return undefined;
    const { sizeBytes, sha256 } = artifact;
    const path = join(folders.pathOf(release.version), file);
    return { content: { path, sizeBytes, sha256 }, contentType: "application/octet-stream" };
  }
}

/** *Shape*: `undefined` for one that is not there: no key set is known yet. */
function describeDocument(file: string, content: Uint8Array) {
  const contentType = file.endsWith(".json") ? "application/json" : "text/plain; charset=utf-8";
  return content.length === 0 ? undefined : { content, contentType };
}
