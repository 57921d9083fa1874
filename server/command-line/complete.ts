/** What may stand where somebody pressed Tab, found in the command line itself. */
import type { Argument, Command, Option } from "commander";
import { ROLE_WORDS } from "./option-values.ts";

/** A word, and what it is; empty for names. */
export interface Candidate {
  readonly word: string;
  readonly description: string;
}

/** Names that only the server knows, by what an argument is called. */
export type FindNames = (argument: "host" | "version") => Promise<readonly string[]>;

/** What `words` can go on with. The last of them is the one that is being typed, and may be empty. */
export async function findCandidates(
  program: Command,
  words: readonly string[],
  findNames: FindNames,
): Promise<readonly Candidate[]> {
  const typed = words.at(-1) ?? "";
  const place = findPlace(program, words.slice(0, -1));
  const all = await candidatesAt(program, place, typed, findNames);
  return all.filter(({ word }) => word.startsWith(typed));
}

interface Place {
  readonly command: Command;
  /** How many arguments of the command stand before. */
  readonly taken: number;
  /** An option that waits for its value. */
  readonly waiting: Option | undefined;
}

function findPlace(program: Command, words: readonly string[]): Place {
  let command = program;
  let taken = 0;
  let waiting: Option | undefined;
  for (const word of words) {
    if (waiting !== undefined) {
      waiting = undefined;
    } else if (word.startsWith("-")) {
      const option = [...command.options, ...program.options].find(
        ({ long, short }) => word === long || word === short,
      );
      waiting = option?.required === true || option?.optional === true ? option : undefined;
    } else {
      const next = command.commands.find((one) => one.name() === word);
      if (next === undefined) taken += 1;
      else command = next;
    }
  }
  return { command, taken, waiting };
}

async function candidatesAt(
  program: Command,
  { command, taken, waiting }: Place,
  typed: string,
  findNames: FindNames,
): Promise<readonly Candidate[]> {
  if (waiting !== undefined)
    return (waiting.argChoices ?? (await namesOf(waiting.attributeName(), findNames))).map(asName);
  if (typed.startsWith("-")) return [...command.options, ...program.options].flatMap(optionCandidates);
  if (command.commands.length > 0) return command.createHelp().visibleCommands(command).map(commandCandidate);
  const argument = argumentAt(command.registeredArguments, taken);
  return argument === undefined ? [] : (await namesOf(argument.name(), findNames)).map(asName);
}

/** The last one may stand for many. */
function argumentAt(known: readonly Argument[], index: number): Argument | undefined {
  return known[index] ?? (known.at(-1)?.variadic === true ? known.at(-1) : undefined);
}

async function namesOf(name: string, findNames: FindNames): Promise<readonly string[]> {
  if (name === "role") return ROLE_WORDS;
  if (name === "shell") return SHELLS;
  return name === "host" || name === "version" ? await findNames(name) : [];
}

function optionCandidates({ long, description, hidden }: Option): readonly Candidate[] {
  return long === undefined || hidden ? [] : [{ word: long, description }];
}

function commandCandidate(command: Command): Candidate {
  return { word: command.name(), description: command.description() };
}

function asName(word: string): Candidate {
  return { word, description: "" };
}

/** The shells that there are scripts for. */
export const SHELLS: readonly string[] = ["bash", "zsh", "fish"];
