/** `npm run test:arm64`: the agent for linux-arm64, as QEMU runs it, against the real server. */
import { runVisibly } from "../toolchain/run-command.ts";
import { ARM64_PACKAGES, installSystemPackages, SYSTEM_PACKAGES } from "../toolchain/system-packages.ts";

await installSystemPackages([...SYSTEM_PACKAGES, ...ARM64_PACKAGES]);
const env = { ...process.env, ROLLCALL_TEST_ARM64: "yes" };
process.exitCode = (await runVisibly("vitest", ["run", "test/arm64", ...process.argv.slice(2)], env)) ? 0 : 1;
