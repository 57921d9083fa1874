/** `npm run test:container`: the server's image, built from its Dockerfile by buildah, and run. */
import { runVisibly } from "../toolchain/run-command.ts";
import { CONTAINER_PACKAGES, installSystemPackages, SYSTEM_PACKAGES } from "../toolchain/system-packages.ts";

await installSystemPackages([...SYSTEM_PACKAGES, ...CONTAINER_PACKAGES]);
const env = { ...process.env, ROLLCALL_TEST_CONTAINER: "yes" };
process.exitCode = (await runVisibly("vitest", ["run", "test/container", ...process.argv.slice(2)], env)) ? 0 : 1;
