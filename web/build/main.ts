/** Makes the built dashboard current. Standard output belongs to the script that runs next. */
import { dirname } from "node:path";
import { buildDashboard } from "./build-dashboard.ts";

try {
  await buildDashboard(dirname(dirname(import.meta.dirname)), (line) => process.stderr.write(`${line}\n`));
} catch (error) {
  process.stderr.write(`The dashboard does not build: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
