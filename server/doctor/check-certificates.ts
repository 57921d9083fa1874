import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import { fail, ok, warn, type Finding } from "../../gen/finding.ts";
import type { Config } from "../config.ts";

const DAY_MS = 86_400_000;
/** A server renews its own 30 days ahead. */
const LEAF_WARNING_MS = 25 * DAY_MS;
const AUTHORITY_WARNING_MS = 365 * DAY_MS;

/** Do the certificates hold, for how long, and for the names under which agents come? */
export async function checkCertificates(config: Config, now: Date): Promise<readonly Finding[]> {
  if (config.tls !== undefined) {
    const toDo = "Put a new one in its place; a running server takes it within twelve hours.";
    return [await checkOne("certificate", config.tls.certPath, config.tls.keyPath, config, now, toDo)];
  }
  const folder = join(config.dataDir, "tls");
  const bundle = join(folder, "server.pem");
  return [
    await checkAuthority(join(folder, "ca.crt"), join(folder, "ca.key"), now),
    await checkOne("certificate", bundle, bundle, config, now, "Restart the server: it makes a new one."),
  ];
}

async function checkAuthority(certPath: string, keyPath: string, now: Date): Promise<Finding> {
  const check = "authority";
  const found = await readPair(certPath, keyPath);
  if (typeof found === "string")
    return fail(check, found, "Restore both from one backup: agents trust this authority alone.");
  const ends = found.validToDate;
  const told = `${certPath} ends on ${day(ends)}.`;
  const toDo = "Agents that trust it alone have to be told of a new one before it ends.";
  if (ends <= now) return fail(check, `${certPath} ended on ${day(ends)}: no agent connects.`, toDo);
  return ends.getTime() - now.getTime() < AUTHORITY_WARNING_MS ? warn(check, told, toDo) : ok(check, told);
}

async function checkOne(
  check: string,
  certPath: string,
  keyPath: string,
  config: Config,
  now: Date,
  toDo: string,
): Promise<Finding> {
  const found = await readPair(certPath, keyPath);
  if (typeof found === "string") return fail(check, found, toDo);
  const ends = found.validToDate;
  if (ends <= now) return fail(check, `${certPath} ended on ${day(ends)}: no agent connects.`, toDo);
  const missing = config.agentUrls
    .map((url) => url.replace(/:\d+$/, "").replace(/^\[|\]$/g, ""))
    .filter((name) => !isNamed(found, name));
  if (missing.length > 0)
    return fail(
      check,
      `${certPath} does not name ${missing.join(", ")}, which ROLLCALL_AGENT_URLS tells agents to use.`,
      toDo,
    );
  const told = `${certPath} ends on ${day(ends)}.`;
  return ends.getTime() - now.getTime() < LEAF_WARNING_MS ? warn(check, told, toDo) : ok(check, told);
}

/** *Shape*: the certificate, or a sentence about what is wrong. */
async function readPair(certPath: string, keyPath: string): Promise<X509Certificate | string> {
  try {
    const certificate = new X509Certificate(await readFile(certPath));
    const key = createPrivateKey(await readFile(keyPath));
    return certificate.checkPrivateKey(key) ? certificate : `${keyPath} is not the key of ${certPath}.`;
  } catch (error) {
    const { syscall, message } = error as NodeJS.ErrnoException;
    return syscall === undefined ? `${certPath} and ${keyPath} hold no certificate and key in PEM.` : `${message}.`;
  }
}

function isNamed(certificate: X509Certificate, name: string): boolean {
  return (isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name)) !== undefined;
}

function day(at: Date): string {
  return at.toISOString().slice(0, 10);
}
