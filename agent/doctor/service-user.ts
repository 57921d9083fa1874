import { stat } from "node:fs/promises";
import { fail, ok, warn, type Finding } from "../../gen/finding.ts";

/**
 * Gives root's rights up for those of the user that the agent runs as, who owns the
 * state directory: root may write everywhere, so its own look would tell nothing.
 */
export async function becomeServiceUser(stateDir: string): Promise<Finding> {
  const check = "user";
  const { getuid, setgroups, setgid, setuid } = process;
  if (getuid === undefined || setgroups === undefined || setgid === undefined || setuid === undefined)
    return ok(check, "Looked at as whoever runs this.");
  let owner: { readonly uid: number; readonly gid: number };
  try {
    owner = await stat(stateDir);
  } catch (error) {
    return fail(
      check,
      `The state directory cannot be looked at: ${(error as Error).message}.`,
      "Enrol this host, or say --state-dir.",
    );
  }
  if (getuid() === owner.uid) return ok(check, `Looked at as user ${owner.uid}, who owns ${stateDir}.`);
  if (getuid() !== 0)
    return warn(
      check,
      `${stateDir} belongs to user ${owner.uid}, and this runs as user ${getuid()}.`,
      "Run this as root: it looks as that user then.",
    );
  setgroups([]);
  setgid(owner.gid);
  setuid(owner.uid);
  return ok(check, `Looked at as user ${owner.uid}, who owns ${stateDir}.`);
}
