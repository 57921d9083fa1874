/** `rollcall`: one command, its output, its exit status. */
import { dirname } from "node:path";
import { text } from "node:stream/consumers";
import { CommanderError } from "commander";
import { builtVersion, computeVersion } from "../../gen/version.ts";
import { systemClock } from "../clock-system.ts";
import { askAtTerminal } from "./ask.ts";
import { EXIT, type ExitStatus } from "./exit-status.ts";
import { explainFailure } from "./explain-failure.ts";
import { createProgram, type CommandLine } from "./program.ts";
import { printable, Terminal } from "./terminal.ts";

const interrupted = new AbortController();
process.once("SIGINT", () => interrupted.abort());
// Whoever reads no further (`rollcall hosts list | head`) has seen enough.
process.stdout.on("error", () => process.exit(EXIT.done));

const terminal = new Terminal(process.stdout, process.stderr, process.env);
const commandLine = createProgram({
  terminal,
  clock: systemClock,
  environment: process.env,
  version: builtVersion() ?? computeVersion(dirname(dirname(import.meta.dirname))),
  interrupted: interrupted.signal,
  ask: askAtTerminal,
  readStdin: () => text(process.stdin),
  // Not before it is asked for: it knows the whole database.
  examineServer: async (environment) =>
    (await import("../doctor/examine-server.ts")).examineServer(environment, systemClock),
});
// No top-level await: the executable is built as CommonJS.
void run(commandLine, process.argv.slice(2)).then((exitStatus) => {
  process.exitCode = exitStatus;
});

async function run({ program, isJson, server }: CommandLine, words: readonly string[]): Promise<ExitStatus> {
  try {
    await program.parseAsync(words, { from: "user" });
    return EXIT.done;
  } catch (error) {
    // What the parser has to say it has said.
    if (error instanceof CommanderError) return isShown(error) ? EXIT.done : EXIT.usage;
    const { message, reason, exitStatus } = explainFailure(error, server() || "The server");
    terminal.showStatus("");
    terminal.say(
      isJson() ? JSON.stringify({ error: { message, reason, exitStatus } }) : `rollcall: ${printable(message)}`,
    );
    return exitStatus;
  }
}

/** Help or a version that somebody asked for. */
function isShown({ code }: CommanderError): boolean {
  return (
    code === "commander.helpDisplayed" ||
    code === "commander.version" ||
    (code === "commander.help" && process.argv.length > 2 && process.argv[2] === "help")
  );
}
