/**
 * Brings node_modules to what package-lock.json names.
 *
 * A stamp in node_modules holds the sha256 of the lock file it was installed
 * from; while it matches, nothing runs. Of all install scripts only that of
 * `node` runs: it fetches the Node that everything else runs under.
 *
 * `npm install` and not `npm ci`: the latter refuses a lock file that lacks
 * optional packages of other platforms, and a registry that mirrors one platform
 * writes such a lock file. Versions and digests come from the lock file either
 * way; a lock file that does not fit package.json is refused here.
 */
import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { withMachineLock } from "./machine-lock.mjs";

/** Throws Error with a sentence for people when the packages can't be brought in. */
export async function ensureInstalled(root) {
  if (isInstalled(root)) return;
  const name = `rollcall-install-${createHash("sha256").update(root).digest("hex").slice(0, 32)}`;
  await withMachineLock(name, async () => {
    // Another script may have installed while this one waited.
    if (!isInstalled(root)) await install(root);
  });
}

async function install(root) {
  refuseStaleLockFile(root);
  const lockDigest = digestLockFile(root);
  process.stderr.write("Installing the packages of package-lock.json …\n");
  const quiet = ["--no-audit", "--no-fund", "--loglevel=error"];
  await runNpm(root, ["install", "--no-save", "--ignore-scripts", ...quiet]);
  await runNpm(root, ["rebuild", "node", "--ignore-scripts=false", ...quiet]);
  if (digestLockFile(root) !== lockDigest)
    throw new Error("package-lock.json changed while its packages were installed.");
  refuseWrongNode(root);
  writeFileSync(stampPath(root), lockDigest);
}

function isInstalled(root) {
  try {
    return readFileSync(stampPath(root), "utf8") === digestLockFile(root);
  } catch {
    return false;
  }
}

function refuseStaleLockFile(root) {
  const manifest = readJson(join(root, "package.json"));
  const locked = readJson(join(root, "package-lock.json")).packages[""];
  for (const kind of ["dependencies", "devDependencies"]) {
    if (isDeepStrictEqual(manifest[kind] ?? {}, locked[kind] ?? {})) continue;
    throw new Error(
      `package-lock.json does not match the ${kind} of package.json; run \`npm install\` and commit both.`,
    );
  }
}

function refuseWrongNode(root) {
  const wanted = readJson(join(root, "package.json")).devDependencies.node;
  const path = join(root, "node_modules", ".bin", "node");
  const version = execFileSync(path, ["--version"], { encoding: "utf8" }).trim();
  if (version !== `v${wanted}`) throw new Error(`${path} is Node ${version}, not ${wanted}.`);
}

function runNpm(root, npmArguments) {
  // node_modules/.bin may hold a Node that npm is about to replace.
  const path = (process.env.PATH ?? "")
    .split(delimiter)
    .filter((folder) => folder !== join(root, "node_modules", ".bin"));
  // Standard output belongs to the script that is about to run.
  const child = spawn("npm", npmArguments, {
    cwd: root,
    stdio: ["ignore", 2, 2],
    env: { ...process.env, PATH: path.join(delimiter) },
  });
  return new Promise((resolve, reject) => {
    child.on("error", (error) => reject(new Error(`npm does not start: ${error.message}`)));
    child.on("exit", (status, signal) => {
      if (status === 0) resolve();
      else
        reject(new Error(`npm ${npmArguments[0]} ended with ${signal ?? `exit status ${status}`}; nothing was run.`));
    });
  });
}

function stampPath(root) {
  return join(root, "node_modules", ".rollcall-lock-sha256");
}

function digestLockFile(root) {
  return createHash("sha256")
    .update(readFileSync(join(root, "package-lock.json")))
    .digest("hex");
}

function readJson(path) {
  return JSON.parse(readFileSync(path, "utf8"));
}
