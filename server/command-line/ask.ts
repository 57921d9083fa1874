/** Questions to the person at the terminal. */
import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import { CommandError, usageError } from "./command-error.ts";
import { EXIT } from "./exit-status.ts";

/** Asks on standard error. What is typed to a secret question is not shown. *Throws* CommandError without a terminal. */
export async function askAtTerminal(
  question: string,
  { isSecret = false }: { readonly isSecret?: boolean } = {},
): Promise<string> {
  const { stdin, stderr } = process;
  if (!stdin.isTTY) throw usageError(`There is no terminal to ask at: ${question.trim()}`);
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: stdin, output: isSecret ? silent : stderr, terminal: true, historySize: 0 });
  try {
    return await new Promise<string>((resolve, reject) => {
      for (const end of ["close", "SIGINT"] as const)
        lines.once(end, () => reject(new CommandError("Nothing was answered, and nothing done.", EXIT.interrupted)));
      // Only now, with the terminal silent: whoever is quick would see what they type.
      if (isSecret) {
        stderr.write(question);
        lines.once("line", resolve);
      } else {
        lines.question(question, resolve);
      }
    });
  } finally {
    lines.close();
    if (isSecret) stderr.write("\n");
  }
}

/** True when somebody said yes; anything else is a no. */
export function isYes(answer: string): boolean {
  return /^y(?:es)?$/i.test(answer.trim());
}
