import { checkGeneratedCode } from "./check-generated-code.ts";
import { runCommand, type CommandResult } from "./run-command.ts";

/** One static check of the sources. */
export interface Check {
  readonly name: string;
  readonly run: () => Promise<CommandResult>;
}

function command(name: string, line: string): Check {
  const [program = "", ...programArguments] = line.split(" ");
  return { name, run: () => runCommand(program, programArguments) };
}

/** Every check of `npm run check`, the longest first. */
export const CHECKS: readonly Check[] = [
  command("types", "tsc --noEmit -p ."),
  command("types of the dashboard", "svelte-check --tsconfig web/tsconfig.json --fail-on-warnings --output human"),
  command("typed lint rules", "oxlint"),
  command("format and lint", "biome check --error-on-warnings --max-diagnostics=200"),
  command("layers", "depcruise --config .dependency-cruiser.mjs --output-type err server agent web gen test"),
  command("nothing unused", "knip --no-progress"),
  { name: "generated code current", run: checkGeneratedCode },
  command("proto lint", "buf lint"),
  command("proto format", "buf format --diff --exit-code"),
  command("proto compatible with its baseline", "buf breaking --against proto/baseline.binpb"),
];
