import { wallTime } from "../clock-system.ts";
import { askAtTerminal } from "./password.ts";
import { systemRandomBytes } from "./randomness.ts";
import type { Workbench } from "./workbench.ts";

/** The running machine's own. */
export const systemBench: Workbench = {
  now: () => new Date(wallTime()),
  randomBytes: systemRandomBytes,
  print: (line) => void process.stdout.write(`${line}\n`),
  askPassword: askAtTerminal,
};
