import { parseArgs, type ParseArgsOptionsConfig } from "node:util";
import { OperatorError } from "../operator-error.ts";

/** Reads what stands after a verb. *Throws* OperatorError with exit status 2 that names the argument at fault. */
export function readVerbArguments<Options extends ParseArgsOptionsConfig>(words: readonly string[], options: Options) {
  try {
    return parseArgs({ args: [...words], options, allowPositionals: true });
  } catch (error) {
    throw new OperatorError((error as Error).message, { exitStatus: 2, cause: error });
  }
}
