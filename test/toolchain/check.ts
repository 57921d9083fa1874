/** `npm run check`: every static check of the sources. Ends with 1 when one failed. */
import { CHECKS } from "./checks.ts";
import { runChecks } from "./run-checks.ts";

const totals = await runChecks(CHECKS, (text) => process.stdout.write(text));
process.stdout.write(`${totals.passed} passed, ${totals.failed} failed\n`);
process.exitCode = totals.failed === 0 ? 0 : 1;
