import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import type { Kysely } from "kysely";
import { fail, ok, warn, type Finding } from "../../gen/finding.ts";
import { count } from "../../gen/words/quantities.ts";
import type { Config } from "../config.ts";
import { AGENT_PACKAGE } from "../domain/host.ts";
import { artifactFile } from "../release/checked-release.ts";
import { readRootKeys } from "../release/root-keys.ts";
import { countPlatforms, listArtifactFiles } from "../store/examine.ts";
import { findTargetVersion } from "../store/releases.ts";
import type { Db } from "../store/schema.ts";

/** Can every host of the fleet be brought to the target version? */
export async function checkReleases(config: Config, db: Kysely<Db>): Promise<readonly Finding[]> {
  return [await checkRootKeys(config.rootKeysPath), ...(await checkTarget(config, db))];
}

async function checkRootKeys(path: string): Promise<Finding> {
  try {
    const keys = await readRootKeys(path);
    return ok("root keys", `${count(keys.length, "root key")} in ${path}.`);
  } catch (error) {
    return warn(
      "root keys",
      `${(error as Error).message}.`,
      "Without them no release is imported and no host can be installed.",
    );
  }
}

async function checkTarget(config: Config, db: Kysely<Db>): Promise<readonly Finding[]> {
  const check = "target version";
  const version = await findTargetVersion(db, AGENT_PACKAGE);
  const files = version === undefined ? [] : await listArtifactFiles(db, AGENT_PACKAGE, version);
  if (version === undefined || files.length === 0)
    return [
      warn(
        check,
        "There is none, so no host is updated.",
        "Import the release of this server's version: rollcall releases import FOLDER",
      ),
    ];
  const platforms = files.map(({ platform }) => platform);
  return [
    ok(check, `${version}.`),
    checkPlatforms(version, platforms, await countPlatforms(db)),
    await checkFiles(join(config.releasesDir, version), version, files),
  ];
}

function checkPlatforms(version: string, platforms: readonly string[], hosts: ReadonlyMap<string, number>): Finding {
  const check = "platforms";
  const missing = [...hosts].filter(([platform]) => !platforms.includes(platform));
  if (missing.length === 0) return ok(check, `${version} has a build for every host.`);
  const told = missing.map(([platform, n]) => `${platform} (${count(n, "host")})`).join(", ");
  return fail(
    check,
    `${version} has no build for ${told}.`,
    "Build a version with that platform too (build:agent -- --platform), and import that.",
  );
}

async function checkFiles(
  folder: string,
  version: string,
  files: Awaited<ReturnType<typeof listArtifactFiles>>,
): Promise<Finding> {
  const check = "files of the target";
  for (const file of files) {
    const problem = await findDamage(join(folder, artifactFile(file)), file.sha256);
    if (problem !== undefined) return fail(check, problem, `Import ${version} again: rollcall releases import FOLDER`);
  }
  return ok(check, `${count(files.length, "artifact")} as imported.`);
}

/** *Shape*: `undefined` when the file is the one that was imported. */
async function findDamage(path: string, sha256: string): Promise<string | undefined> {
  const digest = createHash("sha256");
  try {
    await pipeline(createReadStream(path), digest);
  } catch (error) {
    return `${(error as Error).message}.`;
  }
  return digest.digest("hex") === sha256 ? undefined : `${path} is damaged: it has not the checksum of its release.`;
}
