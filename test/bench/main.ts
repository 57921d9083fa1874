/** `npm run bench -- SUITE … [--agents N,…] [--minutes N]`: measurements that are too long or too noisy for `npm test`. */
import { parseArgs } from "node:util";
import { agentSuite } from "./agent.ts";
import { deliverySuite } from "./delivery.ts";
import { faultsSuite } from "./faults.ts";
import { fleetSuite } from "./fleet.ts";
import { idleSuite } from "./idle.ts";
import { limitsSuite } from "./limits.ts";
import { pushSuite } from "./push.ts";
import { soakSuite } from "./soak.ts";
import { replicasSuite } from "./replicas.ts";
import { stormSuite } from "./storm.ts";
import { streamsSuite } from "./streams.ts";
import { runSuites, type Suite } from "./suite.ts";
import { updateSuite } from "./update.ts";
import { webSuite } from "./web.ts";

const SUITES: readonly Suite[] = [
  agentSuite,
  deliverySuite,
  faultsSuite,
  fleetSuite,
  idleSuite,
  limitsSuite,
  pushSuite,
  soakSuite,
  replicasSuite,
  stormSuite,
  streamsSuite,
  updateSuite,
  webSuite,
];

/** More would need more files than a process may have open here. */
const MOST_AGENTS = 18_000;

const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => stop.abort());

process.exitCode = await main(process.argv.slice(2));

async function main(words: readonly string[]): Promise<number> {
  const { positionals: names, values } = parseArgs({
    args: [...words],
    allowPositionals: true,
    options: { agents: { type: "string" }, minutes: { type: "string" } },
  });
  const minutes = values.minutes === undefined ? undefined : Number(values.minutes);
  if (minutes !== undefined && !(minutes > 0)) {
    process.stderr.write("--minutes takes a number above 0.\n");
    return 2;
  }
  const agents = values.agents?.split(",").map(Number);
  if (agents?.some((count) => !Number.isInteger(count) || count < 1 || count > MOST_AGENTS)) {
    process.stderr.write(`--agents takes numbers from 1 to ${MOST_AGENTS}, separated by commas.\n`);
    return 2;
  }
  const suites = names.map((name) => SUITES.find((suite) => suite.name === name));
  const unknown = names[suites.indexOf(undefined)];
  if (names.length === 0 || unknown !== undefined) {
    const problem = unknown === undefined ? "Name a suite" : `There is no suite ${unknown}`;
    process.stderr.write(
      `${problem}; there ${SUITES.length === 1 ? "is" : "are"} ${SUITES.map(({ name }) => name).join(", ")}.\n`,
    );
    return 2;
  }
  return await runSuites(
    suites.filter((suite) => suite !== undefined),
    (line) => process.stdout.write(`${line}\n`),
    stop.signal,
    { ...(agents === undefined ? {} : { agents }), ...(minutes === undefined ? {} : { minutes }) },
  );
}
