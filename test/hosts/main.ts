/** `npm run test:hosts`: small Debian machines with a real systemd, booted by systemd-nspawn. */
import { runVisibly } from "../toolchain/run-command.ts";
import { HOST_PACKAGES, installSystemPackages, SYSTEM_PACKAGES } from "../toolchain/system-packages.ts";

await installSystemPackages([...SYSTEM_PACKAGES, ...HOST_PACKAGES]);
const env = { ...process.env, ROLLCALL_TEST_HOSTS: "yes" };
process.exitCode = (await runVisibly("vitest", ["run", "test/hosts", ...process.argv.slice(2)], env)) ? 0 : 1;
