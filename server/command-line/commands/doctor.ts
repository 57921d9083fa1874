/** `doctor`: looks at this machine's server, and says what to do. */
import { readFile } from "node:fs/promises";
import { parseEnv } from "node:util";
import type { Command } from "commander";
import { formatFindings, hasFailure, type Finding, type Verdict } from "../../../gen/finding.ts";
import { CommandError, usageError } from "../command-error.ts";
import { EXIT } from "../exit-status.ts";
import type { Tint } from "../terminal.ts";
import type { Tool } from "../tool.ts";

/** Looks at the server that is started with these settings. */
export type ExamineServer = (environment: Readonly<Record<string, string | undefined>>) => Promise<readonly Finding[]>;

const TINTS: Readonly<Record<Verdict, Tint>> = { ok: "green", warn: "yellow", fail: "red" };

/** Adds it. */
export function addDoctor(program: Command, tool: Tool, examineServer: ExamineServer): void {
  program
    .command("doctor")
    .description("look for what is wrong; for a host, run there: rollcall-agent doctor")
    .command("server")
    .description("look at the server of this machine, as root or as its user; needs no sign-in")
    .option(
      "--env-file <file>",
      "its settings, as systemd reads them (/etc/rollcall/server.env); else this environment",
    )
    .action((options: { readonly envFile?: string }) => examine(tool, examineServer, options.envFile));
}

async function examine(tool: Tool, examineServer: ExamineServer, envFile: string | undefined): Promise<void> {
  const { terminal } = tool;
  const findings = await examineServer(envFile === undefined ? tool.environment : await readSettings(envFile));
  if (tool.isJson()) terminal.print(JSON.stringify({ findings }));
  else
    for (const line of formatFindings(findings, (verdict, text) => terminal.tint(TINTS[verdict], text)))
      terminal.print(line);
  if (hasFailure(findings)) throw new CommandError("Something does not work.", EXIT.failed);
}

/** The file alone: what this shell has set says nothing of the service. */
async function readSettings(path: string): Promise<Readonly<Record<string, string | undefined>>> {
  try {
    return parseEnv(await readFile(path, "utf8"));
  } catch (error) {
    throw usageError(`The settings cannot be read: ${(error as Error).message}`, error);
  }
}
