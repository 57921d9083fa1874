/**
 * Where a sign-in is kept: `rollcall/login.json` in the user's configuration folder,
 * for that user alone. Programs give a server and a token by the environment instead,
 * which wins as a whole: a token is never sent to a server that it was not given for.
 */
import { chmod, mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, isAbsolute, join } from "node:path";
import { CommandError, usageError } from "./command-error.ts";
import { EXIT } from "./exit-status.ts";
import { isPin } from "./pinned-agent.ts";
import { parseServerUrl } from "./server-url.ts";

/** How a server is known; without either by the system's authorities. */
export interface Trust {
  /** Certificates of its authority, in PEM. */
  readonly caPem?: string | undefined;
  /** `sha256//…` of its key. */
  readonly pin?: string | undefined;
}

/** A server, and what to show it. */
export interface Login extends Trust {
  /** Scheme, name and port. */
  readonly server: string;
  /** An API token, or that of the server's `admin-token`. */
  readonly token?: string | undefined;
  /** `name=value` of a session's cookie. */
  readonly cookie?: string | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Where the file is. *Source*: XDG Base Directory Specification: a relative folder is ignored. */
export function loginPath(environment: Environment): string {
  const folder = environment["XDG_CONFIG_HOME"] ?? "";
  return join(isAbsolute(folder) ? folder : join(homedir(), ".config"), "rollcall", "login.json");
}

/** The login of the environment, else the one that is kept. *Throws* CommandError when there is none. */
export async function readLogin(environment: Environment): Promise<Login> {
  const server = environment["ROLLCALL_SERVER"] ?? "";
  const token = environment["ROLLCALL_TOKEN"] ?? "";
  if (server !== "" && token !== "") {
    const trust = await readTrust(environment["ROLLCALL_CA_FILE"], environment["ROLLCALL_PIN"]);
    return { server: parseServerUrl(server).origin, token, ...trust };
  }
  if (server + token !== "") throw usageError("ROLLCALL_SERVER and ROLLCALL_TOKEN count only together; set both.");
  return await readLoginFile(loginPath(environment));
}

/** What `--ca-file` and `--pin` say. *Throws* CommandError that names what is wrong. */
export async function readTrust(caFile: string | undefined, pin: string | undefined): Promise<Trust> {
  if (caFile && pin)
    throw usageError("A server is known by its authority (--ca-file) or by its key (--pin), not by both.");
  if (pin) {
    if (isPin(pin)) return { pin };
    throw usageError(`${pin} is no pin; it looks like sha256//…=, as in the install line`);
  }
  if (!caFile) return {};
  const caPem = await readFile(caFile, "utf8").catch((error: unknown) => {
    throw usageError(`The authority cannot be read: ${(error as Error).message}`, error);
  });
  if (!caPem.includes("-----BEGIN CERTIFICATE-----")) throw usageError(`${caFile} holds no certificate in PEM.`);
  return { caPem };
}

/** Keeps a login, in the place of a former one. */
export async function writeLogin(path: string, login: Login): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.new`;
  await rm(temporary, { force: true });
  const file = await open(temporary, "wx", 0o600);
  try {
    await file.writeFile(`${JSON.stringify(login, null, 2)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await chmod(temporary, 0o600);
  await rename(temporary, path);
}

/** Forgets it. *Shape*: true when there was one. */
export async function removeLogin(path: string): Promise<boolean> {
  try {
    await rm(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

async function readLoginFile(path: string): Promise<Login> {
  let text: string;
  try {
    const file = await open(path, "r");
    try {
      if (((await file.stat()).mode & 0o077) !== 0)
        throw new CommandError(
          `${path} may be read by others, and holds a secret: chmod 600 ${path}`,
          EXIT.notPermitted,
        );
      text = await file.readFile("utf8");
    } finally {
      await file.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    throw new CommandError("Nobody is signed in. Sign in with: rollcall login https://SERVER:PORT", EXIT.notPermitted);
  }
  return parseLogin(text, path);
}

function parseLogin(text: string, path: string): Login {
  let value: Partial<Record<keyof Login, unknown>>;
  try {
    value = JSON.parse(text) as typeof value;
  } catch {
    // The parser's own message would quote the secret.
    throw new CommandError(`${path} is damaged; sign in again with: rollcall login`, EXIT.notPermitted);
  }
  const read = (name: keyof Login): string | undefined => (typeof value[name] === "string" ? value[name] : undefined);
  return {
    server: parseServerUrl(read("server") ?? "").origin,
    token: read("token"),
    cookie: read("cookie"),
    caPem: read("caPem"),
    pin: read("pin"),
  };
}
