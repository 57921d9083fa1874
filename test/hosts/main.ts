/**
 * `npm run test:hosts [-- --all]`: small Debian machines with a real systemd, booted by
 * systemd-nspawn. With `--all` every fault that a host must bear, which takes a quarter of an hour.
 */
import { runVisibly } from "../toolchain/run-command.ts";
import { installSystemPackages } from "../toolchain/system-packages.ts";
import { explainNoHosts } from "./explain-no-hosts.ts";

const words = process.argv.slice(2);
const isAll = words.includes("--all");
const env = { ...process.env, ROLLCALL_TEST_HOSTS: isAll ? "all" : "some" };
// What is to happen in time needs a machine that is not full of hosts.
const few = isAll ? ["--maxWorkers=2", "--maxConcurrency=4"] : [];
await installSystemPackages();
const reason = await explainNoHosts();
if (reason !== undefined) process.stdout.write(`Not run: whatever needs hosts with a real systemd. ${reason}\n`);
const others = words.filter((word) => word !== "--all");
process.exitCode = (await runVisibly("vitest", ["run", "test/hosts", ...few, ...others], env)) ? 0 : 1;
