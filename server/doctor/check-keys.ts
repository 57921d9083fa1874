import { stat } from "node:fs/promises";
import { join } from "node:path";
import { fail, ok, type Finding } from "../../gen/finding.ts";

/** What a server cannot do without, and what becomes of a fleet that loses it. */
const SECRETS: readonly (readonly [file: string, whatIf: string])[] = [
  ["credential.key", "Restore it from a backup, or every host has to be enrolled anew."],
  ["admin-token", "Restart the server: it makes a new one."],
  [join("tls", "ca.key"), "Restore it from a backup, or agents trust this server no longer once its certificate ends."],
  [join("tls", "server.pem"), "Restart the server: it makes a new one."],
];

/** Are the secrets there, and for their owner alone? */
export async function checkKeys(dataDir: string): Promise<readonly Finding[]> {
  const folder = await statusOf(dataDir);
  if (folder === undefined)
    return [
      fail(
        "data directory",
        `There is no ${dataDir}.`,
        "Set ROLLCALL_DATA_DIR as the server has it, or start the server once.",
      ),
    ];
  if (typeof folder === "string") return [unreadable("data directory", folder)];
  const findings: Finding[] = [
    (folder.mode & 0o022) === 0
      ? ok("data directory", `${dataDir} is written by its owner alone.`)
      : fail(
          "data directory",
          `${dataDir} may be written by others (mode ${octal(folder.mode)}).`,
          `chmod go-w ${dataDir}`,
        ),
  ];
  for (const [file, whatIf] of SECRETS) findings.push(await checkSecret(join(dataDir, file), file, whatIf, folder.uid));
  return findings;
}

async function checkSecret(path: string, file: string, whatIf: string, ownerId: number): Promise<Finding> {
  const check = `key ${file}`;
  const status = await statusOf(path);
  if (status === undefined) return fail(check, `${path} is missing.`, whatIf);
  if (typeof status === "string") return unreadable(check, status);
  if (status.size === 0) return fail(check, `${path} is empty.`, whatIf);
  if ((status.mode & 0o077) !== 0)
    return fail(
      check,
      `${path} may be read by others (mode ${octal(status.mode)}).`,
      `chmod 600 ${path}; if others may have read it, make a new one.`,
    );
  if (status.uid !== ownerId)
    return fail(
      check,
      `${path} belongs to user ${status.uid}, its folder to user ${ownerId}.`,
      `chown ${ownerId} ${path}`,
    );
  return ok(check, "For its owner alone.");
}

function unreadable(check: string, problem: string): Finding {
  return fail(check, problem, "Run this as root, or as the server's user.");
}

/** *Shape*: `undefined` when it is missing, a sentence when it cannot be told. */
async function statusOf(path: string) {
  try {
    return await stat(path);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT" ? undefined : `${(error as Error).message}.`;
  }
}

function octal(mode: number): string {
  return (mode & 0o777).toString(8);
}
