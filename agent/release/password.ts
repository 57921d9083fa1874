/** Passwords of secret keys: from a file, or from the person at the terminal. Never from an argument, which anybody may read. */
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import { OperatorError } from "../operator-error.ts";
import type { Workbench } from "./workbench.ts";

/** The password in `file`, else the one that is typed. *Throws* OperatorError when the file has none. */
export async function readPassword(question: string, file: string | undefined, bench: Workbench): Promise<string> {
  if (file === undefined) return bench.askPassword(question);
  const password = (await readFile(file, "utf8")).replace(/\r?\n$/, "");
  if (password === "") throw new OperatorError(`${file} is empty: a password is expected in it`);
  return password;
}

/** A new password, typed twice unless it comes from a file. *Throws* OperatorError when they differ. */
export async function readNewPassword(name: string, file: string | undefined, bench: Workbench): Promise<string> {
  const password = await readPassword(`Password for ${name}: `, file, bench);
  if (password === "") throw new OperatorError("an empty password protects nothing; --unencrypted says so openly");
  if (file === undefined && (await bench.askPassword("The same again: ")) !== password)
    throw new OperatorError("the two passwords differ; nothing was written");
  return password;
}

/** Asks at the terminal of this process. *Throws* OperatorError when it has none. */
export async function askAtTerminal(question: string): Promise<string> {
  const { stdin, stderr } = process;
  if (!stdin.isTTY) throw new OperatorError("there is no terminal to type a password at; use --password-file FILE");
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: stdin, output: silent, terminal: true, historySize: 0 });
  // Only now, with the terminal silent: whoever is quick would see what they type.
  stderr.write(question);
  try {
    return await new Promise<string>((resolve, reject) => {
      lines.once("line", resolve);
      for (const end of ["close", "SIGINT"] as const)
        lines.once(end, () => reject(new OperatorError("no password was typed; nothing was written")));
    });
  } finally {
    lines.close();
    stderr.write("\n");
  }
}
