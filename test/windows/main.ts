/** `npm run test:windows`: the agent for windows-x64, as Wine runs it, against the real server. */
import { runVisibly } from "../toolchain/run-command.ts";
import { installSystemPackages, SYSTEM_PACKAGES, WINDOWS_PACKAGES } from "../toolchain/system-packages.ts";
import { explainNoWine } from "./explain-no-wine.ts";

await installSystemPackages([...SYSTEM_PACKAGES, ...WINDOWS_PACKAGES]);
const reason = await explainNoWine();
if (reason === undefined) {
  const env = { ...process.env, ROLLCALL_TEST_WINDOWS: "yes" };
  process.exitCode = (await runVisibly("vitest", ["run", "test/windows", ...process.argv.slice(2)], env)) ? 0 : 1;
} else {
  process.stdout.write(
    `Not run: enrolment, update, rollback and installation of the agent for windows-x64. ${reason}\n`,
  );
}
