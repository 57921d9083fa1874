/** The configuration as a file, and the trusted roots it points to. */
import { chmod, mkdir, readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { getCACertificates } from "node:tls";
import { isCertificatePem, parseConfig, type AgentConfig } from "./config.ts";
import { OperatorError } from "./operator-error.ts";
import { replaceDurably } from "./updater/durable-file.ts";

/** *Throws* OperatorError when the file cannot be read or does not hold a configuration. */
export async function loadConfig(path: string): Promise<AgentConfig> {
  return parseConfig(await readOrExplain(path, "the configuration"), path);
}

/** True when there is something at `path`, readable or not. */
export async function hasConfig(path: string): Promise<boolean> {
  try {
    await readFile(path);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ENOENT";
  }
}

/**
 * The certificates to trust, in PEM. Always explicit: without roots grpc-js asks
 * the environment. A relative `ca_file` is relative to the configuration.
 *
 * *Throws* OperatorError when they cannot be read.
 */
export async function loadRoots(config: AgentConfig, configPath: string): Promise<Buffer> {
  const { roots } = config;
  if (roots.kind === "pem") return Buffer.from(roots.pem);
  if (roots.kind === "file") return loadCertificates(resolve(dirname(configPath), roots.path));
  const certificates = getCACertificates("system");
  if (certificates.length === 0)
    throw new OperatorError('"ca" is "system", but this machine has no trusted certificates');
  return Buffer.from(certificates.join("\n"));
}

/** *Throws* OperatorError unless the file holds certificates in PEM. */
export async function loadCertificates(path: string): Promise<Buffer> {
  const pem = await readOrExplain(path, "the certificates");
  if (!isCertificatePem(pem)) throw new OperatorError(`${path} holds no certificate in PEM`);
  return Buffer.from(pem);
}

/** Writes a configuration that trusts one certificate file's content. */
export async function writeConfig(path: string, servers: readonly string[], caPem: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await replaceDurably(path, `${path}.tmp`, dirname(path), `${JSON.stringify({ servers, ca_pem: caPem }, null, 2)}\n`);
  // It holds no secret, and the service may run as another user than the one who enrols.
  await chmod(path, 0o644);
}

async function readOrExplain(path: string, what: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw new OperatorError(`cannot read ${what}: ${(error as Error).message}`, { cause: error });
  }
}
