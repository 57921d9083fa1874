/** `npm run build:agent`: builds one release of the agent. */
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { computeVersion, isVersion } from "../../gen/version.ts";
import { systemBench } from "../release/system-bench.ts";
import { readDevelopmentPublisher, readPublisher, type Publisher } from "./publisher.ts";
import { buildRelease } from "./release.ts";
import { readSourceTime } from "./source-time.ts";
import { chooseTargets } from "./target.ts";

const USAGE = `Usage: build:agent [--keys DIR [--password-file FILE]] [--production] [--version VERSION]
  [--platform linux-x64|linux-arm64|windows-x64|all]… [--out DIR] [--sequence N] [--permit-floor N]

  --keys DIR        whose release it is, as \`release -- init\` makes it; development keys when left out
  --production      refuse development keys and sources with changes that are not committed
  --permit-floor N  hosts that confirmed sequence N or less may go back to this release`;

async function main(): Promise<void> {
  const root = dirname(dirname(import.meta.dirname));
  const { values } = parseArgs({
    options: {
      version: { type: "string" },
      out: { type: "string" },
      platform: { type: "string", multiple: true, default: ["linux-x64"] },
      sequence: { type: "string" },
      keys: { type: "string" },
      "password-file": { type: "string" },
      "permit-floor": { type: "string" },
      production: { type: "boolean", default: false },
    },
  });
  const version = values.version ?? computeVersion(root);
  if (!isVersion(version)) throw new Error(`--version ${JSON.stringify(version)} is no version\n${USAGE}`);
  const targets = chooseTargets(values.platform);
  if (targets === undefined)
    throw new Error(`--platform ${values.platform.join(", ")}: one of these cannot be built\n${USAGE}`);
  const order = {
    root,
    releasesDir: resolve(values.out ?? join(root, "dist", "releases")),
    version,
    targets,
    sequence: readSequence("--sequence", values.sequence),
    permittedFloor: readSequence("--permit-floor", values["permit-floor"]) ?? 0,
    createdAt: readSourceTime(root, process.env["SOURCE_DATE_EPOCH"]),
  };
  const startedAt = process.hrtime.bigint();
  if (values.production && version.endsWith("-dirty"))
    throw new Error(`${version} holds changes that are not committed: nobody could build it again`);
  const publisher =
    values.keys === undefined
      ? await readDevelopmentPublisher(root, systemBench)
      : await readPublisher(resolve(values.keys), values["password-file"], systemBench);
  if (values.production && publisher.folder.keySet.development)
    throw new Error(`development keys sign no production build; make keys of your own: npm run release -- init`);
  const release = await buildRelease({ ...order, publisher });
  const tookMs = (process.hrtime.bigint() - startedAt) / 1_000_000n;
  systemBench.print(`${release.path}  sequence ${release.sequence} (${tookMs} ms)`);
  for (const program of release.missingStrips)
    systemBench.print(`${program} is not installed: the artifact keeps its symbols and is a sixth larger`);
  systemBench.print(describeSigner(publisher, release.path));
}

function describeSigner({ folder, signingKey }: Publisher, releasePath: string): string {
  const manifest = join(releasePath, "manifest.json");
  if (signingKey === undefined)
    return `NOT signed, and no host takes it so. Where the signing key is: npm run release -- sign --key FILE.key ${manifest}`;
  const { keyId } = signingKey.publicKey;
  return folder.keySet.development
    ? `signed with development keys (${keyId}): for trying out only, whoever has this checkout can sign the same way`
    : `signed by key ${keyId}`;
}

function readSequence(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const sequence = Number(text);
  if (/^[1-9][0-9]{0,15}$/.test(text) && Number.isSafeInteger(sequence)) return sequence;
  throw new Error(`${flag} ${JSON.stringify(text)} is no number above 0 that fits\n${USAGE}`);
}

main().catch((error: unknown) => {
  process.stderr.write(`build:agent: ${(error as Error).message}\n`);
  process.exitCode = 1;
});
