/** Reads the agent's arguments. Secrets are no arguments: any local user can read a process's command line. */
import { OperatorError } from "./operator-error.ts";

/** Where the agent keeps its two kinds of files. */
export interface AgentPaths {
  readonly configPath: string;
  readonly stateDir: string;
}

/** Where `enroll` finds the one-time token. */
export type TokenSource =
  | { readonly kind: "environment" }
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "stdin" };

/** What the guard of an agent on Windows is asked for. */
export type GuardMode = "look" | "stopped" | "watch";

/** One run of the program. */
export type Command =
  | { readonly kind: "help" }
  | { readonly kind: "version" }
  | ({ readonly kind: "probe" | "reach" | "run" } & AgentPaths)
  | ({ readonly kind: "guard"; readonly mode: GuardMode } & AgentPaths)
  | ({ readonly kind: "doctor"; readonly isJson: boolean } & AgentPaths)
  | ({
      readonly kind: "enroll";
      readonly tokenSource: TokenSource;
      readonly servers: readonly string[];
      readonly caFile: string | undefined;
      readonly force: boolean;
      /** What this machine says of itself, as in `site=lisbon`. */
      readonly labels: readonly string[];
    } & AgentPaths);

/** The text of `help`. */
export const HELP = `Usage: rollcall-agent COMMAND [--config FILE] [--state-dir DIR]

Commands:
  enroll     trade a one-time token for this host's identity
             token: environment ROLLCALL_TOKEN, --token-file FILE or --token-stdin
             --server HOST:PORT (repeatable), --ca-file FILE   write the configuration, if there is none
             --label KEY=VALUE (repeatable)   what this machine says of itself; a label of the token comes before it
             --force   replace an identity that is already stored
  run        stay connected to the server and update this program when told to
  doctor     look for what keeps this host from staying connected or being updated, and say what to do
             --json   one JSON value instead of lines; ends with 1 when something does not work
  version    print the version
  --probe    print the version and check the configuration; writes and connects nothing
  --reach    exit 0 if a configured server can be reached within 5 s, else 1
  guard look|stopped|watch
             what update.cmd asks of the version before (Windows, experimental)
  help       print this text

Files:
  --config FILE      default /etc/rollcall/agent.json
  --state-dir DIR    default /var/lib/rollcall-agent
`;

const COMMANDS: Readonly<Record<string, Command["kind"]>> = {
  enroll: "enroll",
  run: "run",
  guard: "guard",
  doctor: "doctor",
  version: "version",
  "--version": "version",
  "--probe": "probe",
  "--reach": "reach",
  help: "help",
  "--help": "help",
};

/**
 * Reads the arguments after the program's name.
 *
 * *Throws* OperatorError with exit status 2 that names the argument at fault.
 */
export function parseCommandLine(argv: readonly string[]): Command {
  const [word, ...rest] = argv;
  if (word === undefined) throw usageError("a command is missing");
  const kind = Object.hasOwn(COMMANDS, word) ? COMMANDS[word] : undefined;
  if (kind === undefined) throw usageError(`unknown command ${JSON.stringify(word)}`);
  if (kind === "guard") return readGuard(rest);
  const flags = readFlags(rest, kind);
  if (kind === "help" || kind === "version") return { kind };
  const paths = readPaths(flags);
  if (kind === "doctor") return { kind, ...paths, isJson: flags.switches.has("--json") };
  if (kind !== "enroll") return { kind, ...paths };
  return {
    kind,
    ...paths,
    tokenSource: chooseTokenSource(flags),
    servers: flags.servers,
    caFile: flags.values.get("--ca-file"),
    force: flags.switches.has("--force"),
    labels: flags.labels,
  };
}

function readGuard([mode, ...rest]: readonly string[]): Command {
  if (mode !== "look" && mode !== "stopped" && mode !== "watch")
    throw usageError("guard must be told to look, stopped or watch");
  return { kind: "guard", mode, ...readPaths(readFlags(rest, "guard")) };
}

function readPaths({ values }: Flags): AgentPaths {
  return {
    configPath: values.get("--config") ?? "/etc/rollcall/agent.json",
    stateDir: values.get("--state-dir") ?? "/var/lib/rollcall-agent",
  };
}

interface Flags {
  readonly values: ReadonlyMap<string, string>;
  readonly switches: ReadonlySet<string>;
  readonly servers: readonly string[];
  readonly labels: readonly string[];
}

const PATH_FLAGS: readonly string[] = ["--config", "--state-dir"];
const ENROLL_FLAGS: readonly string[] = [...PATH_FLAGS, "--token-file", "--ca-file", "--server", "--label"];
const SWITCHES: Partial<Record<Command["kind"], readonly string[]>> = {
  enroll: ["--token-stdin", "--force"],
  doctor: ["--json"],
};

function readFlags(words: readonly string[], kind: Command["kind"]): Flags {
  const takesPaths = kind !== "help" && kind !== "version";
  const valued = kind === "enroll" ? ENROLL_FLAGS : takesPaths ? PATH_FLAGS : [];
  const switchable = SWITCHES[kind] ?? [];
  const values = new Map<string, string>();
  const switches = new Set<string>();
  const servers: string[] = [];
  const labels: string[] = [];
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] ?? "";
    const [name, inline] = splitFlag(word);
    // An argument may be a secret typed in the wrong place, so only its name is repeated.
    if (switchable.includes(name) && inline === undefined) {
      switches.add(name);
    } else if (valued.includes(name)) {
      const value = inline ?? words[++index];
      if (value === undefined || value === "") throw usageError(`${name} needs a value`);
      if (name === "--server") servers.push(value);
      else if (name === "--label") labels.push(value);
      else if (values.has(name)) throw usageError(`${name} is given twice`);
      else values.set(name, value);
    } else {
      throw usageError(
        name.startsWith("-") ? `unknown flag ${JSON.stringify(name)} of this command` : "there is an argument too many",
      );
    }
  }
  return { values, switches, servers, labels };
}

function splitFlag(word: string): [string, string | undefined] {
  const at = word.indexOf("=");
  return word.startsWith("--") && at > 0 ? [word.slice(0, at), word.slice(at + 1)] : [word, undefined];
}

function chooseTokenSource(flags: Flags): TokenSource {
  const path = flags.values.get("--token-file");
  const fromStdin = flags.switches.has("--token-stdin");
  if (path !== undefined && fromStdin) throw usageError("--token-file and --token-stdin exclude each other");
  if (path !== undefined) return { kind: "file", path };
  return fromStdin ? { kind: "stdin" } : { kind: "environment" };
}

function usageError(problem: string): OperatorError {
  return new OperatorError(`${problem}; see rollcall-agent help`, { exitStatus: 2 });
}
