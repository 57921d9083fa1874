/** `npm run build:agent -- --version X`: builds one release of the agent. */
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { computeVersion, isVersion } from "../../gen/version.ts";
import { buildRelease } from "./release.ts";
import { readSourceTime } from "./source-time.ts";

const USAGE = "Usage: build:agent [--version VERSION] [--out DIR] [--platform linux-x64] [--sequence N]";

async function main(): Promise<void> {
  const root = dirname(dirname(import.meta.dirname));
  const { values } = parseArgs({
    options: {
      version: { type: "string" },
      out: { type: "string" },
      platform: { type: "string", default: "linux-x64" },
      sequence: { type: "string" },
    },
  });
  const version = values.version ?? computeVersion(root);
  if (!isVersion(version)) throw new Error(`--version ${JSON.stringify(version)} is no version\n${USAGE}`);
  if (values.platform !== "linux-x64")
    throw new Error(`--platform ${JSON.stringify(values.platform)}: only linux-x64 can be built\n${USAGE}`);
  if (values.sequence !== undefined && !/^[1-9][0-9]{0,15}$/.test(values.sequence)) {
    throw new Error(`--sequence ${JSON.stringify(values.sequence)} is no number above 0\n${USAGE}`);
  }
  const startedAtMs = process.hrtime.bigint();
  const releaseDir = await buildRelease({
    root,
    releasesDir: resolve(values.out ?? join(root, "dist", "releases")),
    version,
    platform: values.platform,
    sequence: values.sequence === undefined ? undefined : Number(values.sequence),
    createdAt: readSourceTime(root, process.env["SOURCE_DATE_EPOCH"]),
  });
  const tookMs = (process.hrtime.bigint() - startedAtMs) / 1_000_000n;
  process.stdout.write(`${releaseDir} (${tookMs} ms)\n`);
}

main().catch((error: unknown) => {
  process.stderr.write(`build:agent: ${(error as Error).message}\n`);
  process.exitCode = 1;
});
