/**
 * `npm run test:hosts [-- --all]`: small Debian machines with a real systemd, booted by
 * systemd-nspawn. With `--all` every fault that a host must bear, which takes half an hour.
 */
import { runVisibly } from "../toolchain/run-command.ts";
import { installSystemPackages } from "../toolchain/system-packages.ts";

const words = process.argv.slice(2);
const env = { ...process.env, ROLLCALL_TEST_HOSTS: words.includes("--all") ? "all" : "some" };
await installSystemPackages();
const others = words.filter((word) => word !== "--all");
process.exitCode = (await runVisibly("vitest", ["run", "test/hosts", ...others], env)) ? 0 : 1;
