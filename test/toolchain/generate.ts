/**
 * `npm run gen`: makes gen/rollcall from proto/.
 *
 * `npm run gen -- --baseline` also makes today's proto the one that later changes
 * are held compatible with. That is done when a release leaves the house, and
 * before the first one whenever the wire changes on purpose.
 */
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
  if (option !== "--baseline") return 0;
  return (await runVisibly("buf", ["build", "--exclude-source-info", "--output", BASELINE])) ? 0 : 1;
}
