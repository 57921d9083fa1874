/**
 * `npm run gen`: makes gen/rollcall from proto/, and docs/troubleshooting.md from the words of gen/words.
 *
 * `npm run gen -- --baseline` also makes today's proto the one that later changes
 * are held compatible with. That is done when a release leaves the house, and
 * before the first one whenever the wire changes on purpose.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { repositoryRoot } from "./repository-root.ts";
import { runVisibly } from "./run-command.ts";

const BASELINE = "proto/baseline.binpb";

const [option] = process.argv.slice(2);
process.exitCode = await generate();

async function generate(): Promise<number> {
  if (option !== undefined && option !== "--baseline") {
    process.stderr.write(`Unknown option ${option}; the only one is --baseline.\n`);
    return 2;
  }
  if (!(await runVisibly("buf", ["generate"]))) return 1;
  // It is written in words of the code that was just generated.
  const { TROUBLESHOOTING_PATH, writeTroubleshooting } = await import("./troubleshooting.ts");
  await writeFile(join(repositoryRoot, TROUBLESHOOTING_PATH), writeTroubleshooting());
  if (option !== "--baseline") return 0;
  return (await runVisibly("buf", ["build", "--exclude-source-info", "--output", BASELINE])) ? 0 : 1;
}
