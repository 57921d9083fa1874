/** Who this host is: the id and the credential that enrolment gave it. */
import { mkdir, open, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { OperatorError } from "./operator-error.ts";
import { replaceDurably } from "./updater/durable-file.ts";

/** A host's identity. The credential is a secret: it goes into no log and no error. */
export interface Identity {
  readonly hostId: string;
  readonly credential: string;
}

const CREDENTIAL_PATTERN = /^[\x21-\x7e]{1,512}$/;

/** The file inside the state directory. */
export function identityPath(stateDir: string): string {
  return join(stateDir, "credential.json");
}

/** *Throws* OperatorError when there is no identity, it is damaged, or others may read it. */
export async function loadIdentity(stateDir: string): Promise<Identity> {
  const path = identityPath(stateDir);
  const text = await readPrivateFile(path);
  let fields: { host_id?: unknown; credential?: unknown } | null;
  try {
    fields = JSON.parse(text) as typeof fields;
  } catch {
    // The parser's own message would quote the secret.
    throw new OperatorError(`${path} is damaged (no JSON); enrol this host again with --force`);
  }
  const hostId = fields?.host_id;
  const credential = fields?.credential;
  if (
    typeof hostId !== "string" ||
    hostId === "" ||
    typeof credential !== "string" ||
    !CREDENTIAL_PATTERN.test(credential)
  ) {
    throw new OperatorError(
      `${path} is damaged (host_id or credential is missing); enrol this host again with --force`,
    );
  }
  return { hostId, credential };
}

/** True when an identity is stored, damaged or not. */
export async function hasIdentity(stateDir: string): Promise<boolean> {
  try {
    await stat(identityPath(stateDir));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw new OperatorError(`cannot look for an identity: ${(error as Error).message}`, { cause: error });
  }
}

/**
 * Makes sure that an identity could be stored, before a one-time token is spent on it.
 *
 * *Throws* OperatorError when it could not.
 */
export async function prepareStateDir(stateDir: string): Promise<void> {
  const trialPath = join(stateDir, ".trial");
  try {
    await mkdir(stateDir, { recursive: true, mode: 0o700 });
    await rm(trialPath, { force: true });
    await (await open(trialPath, "wx", 0o600)).close();
    await rm(trialPath);
  } catch (error) {
    throw new OperatorError(`cannot write to the state directory: ${(error as Error).message}`, { cause: error });
  }
}

/** Stores an identity durably, readable by its owner alone. */
export async function storeIdentity(stateDir: string, identity: Identity): Promise<void> {
  const text = `${JSON.stringify({ host_id: identity.hostId, credential: identity.credential }, null, 2)}\n`;
  const path = identityPath(stateDir);
  await replaceDurably(path, `${path}.tmp`, stateDir, text);
}

async function readPrivateFile(path: string): Promise<string> {
  try {
    const file = await open(path, "r");
    try {
      const { mode } = await file.stat();
      if (process.platform !== "win32" && (mode & 0o077) !== 0) {
        throw new OperatorError(`${path} may be read by others; its mode must be 0600`);
      }
      return await file.readFile("utf8");
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof OperatorError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT")
      throw new OperatorError(`this host has no identity (${path} is absent); run rollcall-agent enroll first`);
    throw new OperatorError(`cannot read this host's identity: ${message}`, { cause: error });
  }
}
