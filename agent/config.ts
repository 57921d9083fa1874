/** The agent's configuration: a JSON object, read strictly, so that a slip is told and not ignored. */
import { OperatorError } from "./operator-error.ts";
import type { ProxySettings } from "./proxy/choose-proxy.ts";
import { parseHttpProxy, type HttpProxy } from "./proxy/http-proxy.ts";
import { parseProxyException, type ProxyException } from "./proxy/proxy-exception.ts";

/** Whom the agent trusts to be its server. Never taken from the environment. */
export type TrustedRoots =
  | { readonly kind: "pem"; readonly pem: string }
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "system" };

/** A configuration whose every field was checked. */
export interface AgentConfig extends ProxySettings {
  /** `host:port`, tried in turn, beginning with any; at least one. */
  readonly servers: readonly string[];
  readonly roots: TrustedRoots;
  /** *Units*: bytes that an update leaves free on the disk. */
  readonly reserveBytes: number;
  /** Replaces the machine's own name. */
  readonly hostname: string | undefined;
  /** Which unit and guard this host was installed with; 0 without either. */
  readonly installRevision: number;
  /** Whether a server may send this host to other addresses and authorities. */
  readonly followsServer: boolean;
}

const DEFAULT_RESERVE_BYTES = 64 * 1024 * 1024;
/** How many servers a host may know. */
export const MAX_SERVERS = 16;
const FIELDS: readonly string[] = [
  "servers",
  "ca_pem",
  "ca_file",
  "ca",
  "reserve_bytes",
  "hostname",
  "install_revision",
  "follow_server",
  "https_proxy",
  "no_proxy",
];
const SERVER_PATTERN = /^(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):([0-9]{1,5})$/;
const HOSTNAME_PATTERN = /^[A-Za-z0-9._-]{1,253}$/;
const PEM_PATTERN = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/;

/**
 * Reads a configuration. `source` names it in errors.
 *
 * *Throws* OperatorError that names the field and what it must be.
 */
export function parseConfig(text: string, source: string): AgentConfig {
  const fail = (problem: string): never => {
    throw new OperatorError(`${source}: ${problem}`);
  };
  const fields = parseObject(text, fail);
  for (const name of Object.keys(fields)) {
    if (!FIELDS.includes(name)) fail(`unknown field ${JSON.stringify(name)}; known are ${FIELDS.join(", ")}`);
  }
  return {
    servers: readServers(fields["servers"], fail),
    roots: readRoots(fields, fail),
    reserveBytes: readWholeNumber(fields, "reserve_bytes", DEFAULT_RESERVE_BYTES, Number.MAX_SAFE_INTEGER, fail),
    hostname: readHostname(fields["hostname"], fail),
    installRevision: readWholeNumber(fields, "install_revision", 0, 2 ** 31 - 1, fail),
    followsServer: readSwitch(fields, "follow_server", true, fail),
    httpsProxy: readHttpsProxy(fields["https_proxy"], fail),
    noProxy: readNoProxy(fields["no_proxy"], fail),
  };
}

/** True for `host:port` with a host name, an IPv4 address, or an IPv6 address in brackets. */
export function isServerAddress(text: string): boolean {
  const port = Number(SERVER_PATTERN.exec(text)?.[1] ?? 0);
  return port >= 1 && port <= 65535;
}

/** True for text that holds at least one certificate in PEM. */
export function isCertificatePem(text: string): boolean {
  return PEM_PATTERN.test(text);
}

type Fail = (problem: string) => never;
type Fields = Readonly<Record<string, unknown>>;

function parseObject(text: string, fail: Fail): Fields {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return fail(`is no JSON (${(error as Error).message})`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return fail("must be a JSON object");
  return value as Fields;
}

function readServers(value: unknown, fail: Fail): readonly string[] {
  if (!Array.isArray(value) || value.length === 0) return fail('"servers" must be a list of one or more "host:port"');
  if (value.length > MAX_SERVERS) return fail(`"servers" may have at most ${MAX_SERVERS} entries, not ${value.length}`);
  return value.map((server: unknown, index) =>
    typeof server === "string" && isServerAddress(server) ? server : fail(`"servers[${index}]" must be "host:port"`),
  );
}

function readRoots(fields: Fields, fail: Fail): TrustedRoots {
  const given = ["ca_pem", "ca_file", "ca"].filter((name) => fields[name] !== undefined);
  if (given.length !== 1) return fail('exactly one of "ca_pem", "ca_file" and "ca" must say whom to trust');
  if (given[0] === "ca") return fields["ca"] === "system" ? { kind: "system" } : fail('"ca" may only be "system"');
  if (given[0] === "ca_file") {
    const path = fields["ca_file"];
    return typeof path === "string" && path !== "" ? { kind: "file", path } : fail('"ca_file" must be a path');
  }
  const pem = fields["ca_pem"];
  return typeof pem === "string" && isCertificatePem(pem)
    ? { kind: "pem", pem }
    : fail('"ca_pem" must hold a certificate in PEM');
}

function readHostname(value: unknown, fail: Fail): string | undefined {
  if (value === undefined || (typeof value === "string" && HOSTNAME_PATTERN.test(value))) return value;
  return fail("\"hostname\" must be 1 to 253 letters, digits, '.', '_' or '-'");
}

/** What is wrong is told without the value, which may hold a password. */
function readHttpsProxy(value: unknown, fail: Fail): HttpProxy | undefined {
  if (value === undefined) return undefined;
  const proxy = typeof value === "string" ? parseHttpProxy(value) : undefined;
  return proxy ?? fail('"https_proxy" must be "http://host:port" or "http://user:password@host:port", percent-encoded');
}

/** Written as the environment variable of this name is: entries between commas or blanks. */
function readNoProxy(value: unknown, fail: Fail): readonly ProxyException[] {
  if (value === undefined) return [];
  if (typeof value !== "string") return fail('"no_proxy" must be a text with commas between its entries');
  const entries = value.split(/[\s,]+/).filter((entry) => entry !== "");
  return entries.map(
    (entry) =>
      parseProxyException(entry) ??
      fail(`"no_proxy" holds ${JSON.stringify(entry)}, which is neither a name, an address, a range nor "*"`),
  );
}

function readSwitch(fields: Fields, name: string, fallback: boolean, fail: Fail): boolean {
  const value = fields[name] ?? fallback;
  return typeof value === "boolean" ? value : fail(`"${name}" must be true or false`);
}

function readWholeNumber(fields: Fields, name: string, fallback: number, max: number, fail: Fail): number {
  const value = fields[name] ?? fallback;
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0 && value <= max) return value;
  return fail(`"${name}" must be a whole number from 0 to ${max}`);
}
