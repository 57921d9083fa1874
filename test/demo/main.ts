/** `npm run demo [-- --hosts N] [--auto]`: a server and hosts on this machine, and updates of them. */
import { parseDemoOptions, type DemoOptions } from "./options.ts";
import { runDemo } from "./run-demo.ts";

const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => stop.abort());

process.exitCode = await main();

async function main(): Promise<number> {
  let options: DemoOptions;
  try {
    options = parseDemoOptions(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    return 2;
  }
  try {
    return await runDemo(options, (line) => process.stdout.write(`${line}\n`), stop.signal);
  } catch (error) {
    if (stop.signal.aborted) return 130;
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    return 1;
  }
}
