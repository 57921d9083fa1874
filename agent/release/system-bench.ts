import { wallTime } from "../clock-system.ts";
import { askAtTerminal } from "./password.ts";
import { systemRandomBytes } from "./randomness.ts";
import { MINISIGN_COST } from "./secret-key-file.ts";
import type { Workbench } from "./workbench.ts";

/** The running machine's own. */
export const systemBench: Workbench = {
  now: () => new Date(wallTime()),
  randomBytes: systemRandomBytes,
  passwordCost: MINISIGN_COST,
  print: (line) => void process.stdout.write(`${line}\n`),
  askPassword: askAtTerminal,
};
