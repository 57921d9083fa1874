/**
 * Every npm script starts here: `node test/toolchain/run.mjs [--dashboard] FILE.ts [ARGUMENT …]`.
 *
 * It runs under whatever Node the machine has (20 or newer) and needs no
 * dependency. It refuses a machine that the project does not support, installs
 * what package-lock.json names when node_modules does not match it, and runs
 * FILE.ts under the Node of node_modules, which strips types by itself. Standard
 * streams, signals and the exit status pass through. With `--dashboard` it brings the
 * built dashboard up to date before.
 */
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ensureInstalled } from "./install.mjs";
import { findUnsupported } from "./supported-machine.mjs";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const needsDashboard = process.argv[2] === "--dashboard";
const [script, ...scriptArguments] = process.argv.slice(needsDashboard ? 3 : 2);

process.exitCode = await main();

async function main() {
  const unsupported = findUnsupported();
  if (unsupported !== undefined) return fail(unsupported);
  if (script === undefined) return fail("Name a .ts file to run: node test/toolchain/run.mjs FILE.ts [ARGUMENT …]");
  try {
    await ensureInstalled(root);
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error), 1);
  }
  const built = needsDashboard ? await runUnderOwnNode("web/build/main.ts", []) : 0;
  return built === 0 ? runUnderOwnNode(script, scriptArguments) : built;
}

/** @returns {Promise<number>} the child's exit status, 128 + n when signal n ended it */
function runUnderOwnNode(file, fileArguments) {
  const bin = join(root, "node_modules", ".bin");
  const child = spawn(join(bin, "node"), [join(root, file), ...fileArguments], {
    stdio: "inherit",
    env: { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH ?? ""}` },
  });
  // A terminal's Ctrl-C reaches the whole foreground group; the child may see it twice.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  return new Promise((resolve) => {
    child.on("error", (error) => resolve(fail(`${join(bin, "node")} does not start: ${error.message}`, 1)));
    child.on("exit", (status, signal) => resolve(status ?? 128 + constants.signals[signal]));
  });
}

function fail(sentence, status = 2) {
  process.stderr.write(`${sentence}\n`);
  return status;
}
