import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { fail, ok, warn, type Finding } from "../../gen/finding.ts";

const run = promisify(execFile);
/** Types from which systemd starts no service. */
const NOT_STARTED_FROM = /:(?:user_home_t|user_tmp_t|tmp_t|admin_home_t|unlabeled_t|default_t|var_lib_t):/;

/** Does SELinux let a service be started from the agent's folder? */
export async function checkSelinux(folder: string): Promise<Finding> {
  const enforcing = await readFile("/sys/fs/selinux/enforce", "utf8").catch(() => undefined);
  if (enforcing === undefined) return judgeSelinux(undefined, "", folder);
  // Node reads no extended attributes; stat of coreutils does.
  const context = await run("stat", ["--format=%C", folder]).then(
    ({ stdout }) => stdout.trim(),
    () => "",
  );
  return judgeSelinux(enforcing.trim() === "1", context, folder);
}

/** `isEnforcing` is `undefined` where there is no SELinux. */
export function judgeSelinux(isEnforcing: boolean | undefined, context: string, folder: string): Finding {
  const check = "SELinux";
  if (isEnforcing === undefined) return ok(check, "Not on this machine.");
  const toDo = `restorecon -Rv ${folder}, or give it the type bin_t by semanage fcontext first.`;
  if (NOT_STARTED_FROM.test(context)) {
    const told = `${folder} is labelled ${context}, from which no service is started.`;
    return isEnforcing ? fail(check, told, toDo) : warn(check, `${told} It is permissive now.`, toDo);
  }
  return ok(check, isEnforcing ? `Enforcing; ${folder} is labelled ${context || "in no way"}.` : "Permissive.");
}
