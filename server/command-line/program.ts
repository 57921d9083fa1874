/** The command line, put together. */
import { Command } from "commander";
import { addAlerts } from "./commands/alerts.ts";
import { addAudit } from "./commands/audit.ts";
import { addCompletions } from "./commands/completions.ts";
import { addDoctor, type ExamineServer } from "./commands/doctor.ts";
import { addFleetUpdate } from "./commands/fleet-update.ts";
import { addHosts } from "./commands/hosts.ts";
import { addLogin } from "./commands/login.ts";
import { addReleases } from "./commands/releases.ts";
import { addTokens } from "./commands/tokens.ts";
import { addUsers } from "./commands/users.ts";
import { connectTo } from "./connect.ts";
import { readLogin } from "./login-file.ts";
import type { Tool } from "./tool.ts";

/** What a program takes from its process. */
export type Machine = Omit<Tool, "isJson" | "connect"> & { readonly examineServer: ExamineServer };

/** The program, and where it asked: an empty text before it knew. */
export interface CommandLine {
  readonly program: Command;
  readonly isJson: () => boolean;
  readonly server: () => string;
}

/** Builds it. Parsing throws CommanderError and whatever a command throws; nothing ends the process. */
export function createProgram(machine: Machine): CommandLine {
  const program = new Command("rollcall")
    .description("Keeps the agents of a fleet of hosts up to date. Start with: rollcall login https://SERVER:PORT")
    .version(machine.version, "-V, --version")
    .option("--json", "results as JSON, errors as JSON on standard error")
    .exitOverride()
    .showHelpAfterError("Add --help for what there is.")
    .configureHelp({ showGlobalOptions: true, helpWidth: machine.terminal.columns ?? 100 });
  const isJson = (): boolean => program.opts<{ readonly json?: true }>().json === true;
  let server = "";
  const tool: Tool = {
    ...machine,
    isJson,
    connect: async () => {
      const login = await readLogin(machine.environment);
      server = login.server;
      return connectTo(login, machine.version);
    },
  };
  for (const add of [
    addLogin,
    addHosts,
    addFleetUpdate,
    addAlerts,
    addAudit,
    addReleases,
    addTokens,
    addUsers,
    addCompletions,
  ])
    add(program, tool);
  addDoctor(program, tool, machine.examineServer);
  return { program, isJson, server: () => server };
}
