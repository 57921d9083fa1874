/** What `backup` and `restore` are told: a file, flags of their own, and the server's settings. */
import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { ConfigError, givenSettings, readConfig, SETTING_FLAGS, type Config, type Setting } from "../config.ts";
import type { BackupPlace } from "./backup-file.ts";

/** A command, checked. */
export interface BackupCommand {
  readonly verb: "backup" | "restore";
  readonly place: BackupPlace;
  readonly isMove: boolean;
  readonly config: Config;
  readonly settings: Readonly<Record<string, string>>;
}

const USAGE = `Usage: npm run backup -- FILE [--passphrase-file PATH]
       npm run restore -- FILE [--passphrase-file PATH] [--move]

Both take the server's settings, by environment or flag: ROLLCALL_DATA_DIR, ROLLCALL_DATABASE_URL and so on.

  --passphrase-file PATH  encrypts the backup, or opens it; or ROLLCALL_BACKUP_PASSPHRASE
  --move                  no server ran since the backup: updates that were under way go on
`;

/** No flag of the same name: every user of a machine can read the arguments of its processes. */
const PASSPHRASE_VARIABLE = "ROLLCALL_BACKUP_PASSPHRASE";

/** *Throws* ConfigError that names what is wrong. */
export async function readCommand(
  [verb, ...words]: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Promise<BackupCommand> {
  if (verb !== "backup" && verb !== "restore") throw new ConfigError(USAGE);
  const { values, positionals } = parseWords(words);
  const { "passphrase-file": passphrasePath, move: isMove = false, ...flags } = values;
  const [path] = positionals;
  if (path === undefined || positionals.length > 1) throw new ConfigError(`one file must be named\n${USAGE}`);
  if (isMove && verb === "backup") throw new ConfigError(`--move belongs to restore\n${USAGE}`);
  return {
    verb,
    place: { path, passphrase: await readPassphrase(passphrasePath, environment[PASSPHRASE_VARIABLE] || undefined) },
    isMove,
    config: readConfig(
      Object.entries(flags).map(([name, value]) => `--${name}=${value}`),
      environment,
    ),
    settings: givenSettings(flags, environment),
  };
}

type Flags = { readonly "passphrase-file"?: string; readonly move?: boolean } & Partial<Record<Setting, string>>;

function parseWords(words: readonly string[]): { readonly values: Flags; readonly positionals: readonly string[] } {
  const options = { ...SETTING_FLAGS, "passphrase-file": { type: "string" }, move: { type: "boolean" } } as const;
  try {
    return parseArgs({ args: [...words], options, strict: true, allowPositionals: true });
  } catch (error) {
    throw new ConfigError(`${(error as Error).message}\n${USAGE}`);
  }
}

async function readPassphrase(path: string | undefined, given: string | undefined): Promise<string | undefined> {
  if (path === undefined) return given;
  if (given !== undefined)
    throw new ConfigError(`only one of --passphrase-file and ${PASSPHRASE_VARIABLE} may be given`);
  const text = await readFile(path, "utf8").catch((error: Error) => {
    throw new ConfigError(`the passphrase cannot be read: ${error.message}`);
  });
  const passphrase = text.replace(/\r?\n$/, "");
  if (passphrase === "") throw new ConfigError(`${path} holds no passphrase`);
  return passphrase;
}
