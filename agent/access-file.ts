/**
 * Where this host reaches its servers and whom it trusts there: what its configuration says, until a server said
 * otherwise and was answered there. Then `<state>/server-access.json` holds, across restarts, until the configuration
 * is changed: whoever edits that file means it.
 */
import { hash } from "node:crypto";
import { join } from "node:path";
import type { AgentPaths } from "./command-line.ts";
import { isCertificatePem, isServerAddress, MAX_SERVERS, type AgentConfig } from "./config.ts";
import { loadRoots } from "./config-file.ts";
import { readShortFile, replaceDurably } from "./updater/durable-file.ts";

/** Servers as `host:port`, at least one, and the certificates to trust, in PEM. */
export interface ServerAccess {
  readonly servers: readonly string[];
  readonly roots: Buffer;
}

/** *Units*: bytes. What a server may say, and some. */
const MAX_FILE_BYTES = 256 * 1024;

/**
 * What holds now.
 *
 * *Throws* OperatorError when the configured certificates cannot be read.
 */
export async function openServerAccess(config: AgentConfig, paths: AgentPaths): Promise<ServerAccess> {
  const configured = { servers: config.servers, roots: await loadRoots(config, paths.configPath) };
  if (!config.followsServer) return configured;
  const text = await readShortFile(accessPath(paths.stateDir), MAX_FILE_BYTES);
  return (text === undefined ? undefined : parseKept(text, digest(configured))) ?? configured;
}

/** Keeps `access` durably in place of the configured one, as it is now. */
export async function keepServerAccess(
  access: ServerAccess,
  config: AgentConfig,
  { configPath, stateDir }: AgentPaths,
): Promise<void> {
  const configured = { servers: config.servers, roots: await loadRoots(config, configPath) };
  const fields = {
    instead_of: digest(configured),
    servers: access.servers,
    authorities_pem: access.roots.toString(),
  };
  const path = accessPath(stateDir);
  await replaceDurably(path, `${path}.tmp`, stateDir, `${JSON.stringify(fields, null, 2)}\n`);
}

/** *Shape*: `undefined` for what is torn, foreign, or stands for another configuration. */
function parseKept(text: string, configuredDigest: string): ServerAccess | undefined {
  let fields: { instead_of?: unknown; servers?: unknown; authorities_pem?: unknown } | null;
  try {
    fields = JSON.parse(text) as typeof fields;
  } catch {
    return undefined;
  }
  const servers = fields?.servers;
  const pem = fields?.authorities_pem;
  if (fields?.instead_of !== configuredDigest || !isServerList(servers)) return undefined;
  return typeof pem === "string" && isCertificatePem(pem) ? { servers, roots: Buffer.from(pem) } : undefined;
}

/** True for what a configuration may list as servers. */
export function isServerList(value: unknown): value is readonly string[] {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.length <= MAX_SERVERS &&
    value.every((server: unknown) => typeof server === "string" && isServerAddress(server))
  );
}

function digest({ servers, roots }: ServerAccess): string {
  return hash("sha256", JSON.stringify([servers, roots.toString("base64")]), "hex");
}

function accessPath(stateDir: string): string {
  return join(stateDir, "server-access.json");
}
