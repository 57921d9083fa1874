/** `completions`: what a shell is told so that Tab knows commands, options, hosts and versions. */
import type { Command } from "commander";
import { usageError } from "../command-error.ts";
import { findCandidates, SHELLS, type FindNames } from "../complete.ts";
import { listHosts } from "../find-one.ts";
import { printable } from "../terminal.ts";
import type { Tool } from "../tool.ts";

/** Each asks `rollcall complete`, so that it never knows less than the program that it is asked of. */
const SCRIPTS: Readonly<Record<string, string>> = {
  bash: `_rollcall() {
  local IFS=$'\\n'
  COMPREPLY=($(rollcall complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | cut -f1))
}
complete -o default -F _rollcall rollcall`,
  zsh: `#compdef rollcall
_rollcall() {
  local line
  local -a found
  for line in "\${(@f)$(rollcall complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    [[ -n $line ]] && found+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done
  (( $#found )) && _describe rollcall found || _files
}
compdef _rollcall rollcall`,
  fish: `complete -c rollcall -a '(rollcall complete -- (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'`,
};

/** Adds it. */
export function addCompletions(program: Command, tool: Tool): void {
  program
    .command("completions <shell>")
    .description(`print what ${SHELLS.join(", ")} needs to complete commands, options, hosts and versions`)
    .action((shell: string) => {
      const script = SCRIPTS[shell];
      if (script === undefined)
        throw usageError(`${shell} is none of the shells that there are completions for: ${SHELLS.join(", ")}`);
      tool.terminal.print(script);
    });
  program
    .command("complete [words...]", { hidden: true })
    .description("asked by a shell")
    .action(async (words: readonly string[]) => {
      for (const { word, description } of await findCandidates(program, words, findNamesBy(tool)))
        tool.terminal.print(`${printable(word)}\t${printable(description)}`);
    });
}

/** Whoever is not signed in, or whose server is away, gets no names and no error in the middle of what they type. */
function findNamesBy(tool: Tool): FindNames {
  return async (argument) => {
    try {
      const { fleet } = await tool.connect();
      if (argument === "version") return (await fleet.listReleases({})).releases.map(({ version }) => version);
      return (await listHosts(fleet)).map(({ hostname }) => hostname);
    } catch {
      return [];
    }
  };
}
