/** `npm run test:replicas`: what a fleet loses when one of its servers is killed, stands still or is renewed. */
import { runVisibly } from "../toolchain/run-command.ts";
import { installSystemPackages } from "../toolchain/system-packages.ts";

await installSystemPackages();
const env = { ...process.env, ROLLCALL_TEST_REPLICAS: "yes" };
const files = ["test/system/replica-loss.test.ts", ...process.argv.slice(2)];
process.exitCode = (await runVisibly("vitest", ["run", ...files], env)) ? 0 : 1;
