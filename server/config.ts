/** The server's settings: from the environment, or from a flag of the same name, which wins. */
import { isIP, SocketAddress } from "node:net";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { isVersion } from "../gen/version.ts";
import { parseAuthorityRollover, type AuthorityRollover } from "./domain/authority-rollover.ts";
import { HOSTS_TO_QUARANTINE } from "./domain/quarantine.ts";
import { LIFETIME_SETTINGS, readLifetimes, type Lifetimes } from "./retention/lifetimes.ts";
import { parseAllowedDestinations, type AllowedDestinations } from "./notify/outgoing-policy.ts";

/** An address to listen on. */
export interface ListenAddress {
  readonly host: string;
  /** 0 for any free one. */
  readonly port: number;
}

/** Who administers a server that has no users yet. */
export interface FirstAdminConfig {
  readonly username: string;
  readonly password: { readonly text: string } | { readonly path: string };
}

/** What deliveries may take of this server. */
export interface DeliveryConfig {
  /** Hosts that are sent blocks at a time. */
  readonly maxConcurrent: number;
  /** Over all hosts; 0 for no limit. */
  readonly bytesPerSecond: number;
}

/** Every setting, checked. */
export interface Config {
  readonly dataDir: string;
  readonly releasesDir: string;
  /** The publisher's root public keys. */
  readonly rootKeysPath: string;
  readonly webListen: ListenAddress;
  readonly agentListen: ListenAddress;
  /** Where agents reach this server; the certificate's names come from here. */
  readonly agentUrls: readonly string[];
  /** Where people reach this server: scheme, name and port. */
  readonly publicUrl: string | undefined;
  /** The one address that may connect to the web listener, and is believed when it names others. */
  readonly trustedProxy: string | undefined;
  /** The first admin of a server without users. */
  readonly firstAdmin: FirstAdminConfig | undefined;
  readonly delivery: DeliveryConfig;
  /** Hosts on which an artifact rolls back before it is quarantined. */
  readonly hostsToQuarantine: number;
  /** Where notifications may go that is no public address, and need not speak TLS. */
  readonly notifyAllow: AllowedDestinations;
  /** The HTTP proxy that webhooks and ntfy are reached through. */
  readonly notifyProxy: string | undefined;
  readonly databaseUrl: string | undefined;
  readonly lifetimes: Lifetimes;
  /** Where the change to the next agents' authority stands. */
  readonly authorityRollover: AuthorityRollover | undefined;
  readonly tls: { readonly certPath: string; readonly keyPath: string } | undefined;
  readonly version: string | undefined;
  /** A test's wish to end the process at an exact point. */
  readonly faultPoint: string | undefined;
}

/** A setting that cannot be. The sentence names it. */
export class ConfigError extends Error {
  constructor(sentence: string) {
    super(sentence);
    this.name = "ConfigError";
  }
}

const SETTINGS = [
  "data-dir",
  "releases-dir",
  "root-keys",
  "web-listen",
  "agent-listen",
  "agent-urls",
  "public-url",
  "delivery-max-concurrent",
  "delivery-bytes-per-second",
  "quarantine-hosts",
  "authority-rollover",
  ...LIFETIME_SETTINGS,
  "notify-allow",
  "notify-proxy",
  "database-url",
  "tls-cert",
  "tls-key",
  "trust-proxy",
  "admin-username",
  "admin-password-file",
  "version",
  "fault-point",
] as const;

/** The flags of all settings, for `parseArgs`. */
export const SETTING_FLAGS: Readonly<Record<Setting, { readonly type: "string" }>> = Object.fromEntries(
  SETTINGS.map((setting) => [setting, { type: "string" }]),
) as Record<Setting, { type: "string" }>;

/** Settings that say where something is on one machine, or what this process is. */
const SETTINGS_OF_A_PLACE: ReadonlySet<Setting> = new Set(["data-dir", "database-url", "version", "fault-point"]);

/** The settings that were given, by their variables, without those of a place. None holds a secret. */
export function givenSettings(
  flags: Readonly<Partial<Record<Setting, string>>>,
  environment: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string>> {
  const given = SETTINGS.filter((setting) => !SETTINGS_OF_A_PLACE.has(setting)).map((setting) => [
    variableOf(setting),
    (flags[setting] ?? environment[variableOf(setting)]) || undefined,
  ]);
  return Object.fromEntries(given.filter(([, value]) => value !== undefined)) as Record<string, string>;
}

/** No flag of the same name: every user of a machine can read the arguments of its processes. */
const ADMIN_PASSWORD_VARIABLE = "ROLLCALL_ADMIN_PASSWORD";

/** The name of a setting, as its flag has it. */
export type Setting = (typeof SETTINGS)[number];

/** The environment variable of a setting. */
function variableOf(setting: Setting): string {
  return `ROLLCALL_${setting.toUpperCase().replaceAll("-", "_")}`;
}

/**
 * Reads the settings.
 *
 * *Throws* ConfigError that names the setting.
 */
export function readConfig(argv: readonly string[], environment: Readonly<Record<string, string | undefined>>): Config {
  const flags = parseFlags(argv);
  const read = (setting: Setting): string | undefined =>
    (flags[setting] ?? environment[variableOf(setting)]) || undefined;
  const certPath = read("tls-cert");
  const keyPath = read("tls-key");
  if ((certPath === undefined) !== (keyPath === undefined)) {
    throw new ConfigError(`${variableOf("tls-cert")} and ${variableOf("tls-key")} must be given together`);
  }
  const version = read("version");
  if (version !== undefined && !isVersion(version))
    throw new ConfigError(`${variableOf("version")} is not a version: ${version}`);
  const releasesDir = read("releases-dir") ?? "./dist/releases";
  return {
    dataDir: read("data-dir") ?? "./data",
    releasesDir,
    rootKeysPath: read("root-keys") ?? join(releasesDir, "roots.pub"),
    webListen: parseListen("web-listen", read("web-listen") ?? "127.0.0.1:7170"),
    agentListen: parseListen("agent-listen", read("agent-listen") ?? "0.0.0.0:7171"),
    agentUrls: splitList(read("agent-urls")).map(checkAgentUrl),
    publicUrl: parsePublicUrl(read("public-url")),
    trustedProxy: parseProxy(read("trust-proxy")),
    firstAdmin: readFirstAdmin(
      read("admin-username"),
      environment[ADMIN_PASSWORD_VARIABLE] || undefined,
      read("admin-password-file"),
    ),
    delivery: {
      maxConcurrent: parseWhole("delivery-max-concurrent", read("delivery-max-concurrent") ?? "64", 1, 10_000),
      bytesPerSecond: parseWhole(
        "delivery-bytes-per-second",
        read("delivery-bytes-per-second") ?? "0",
        0,
        1_000_000_000_000,
      ),
    },
    hostsToQuarantine: parseWhole(
      "quarantine-hosts",
      read("quarantine-hosts") ?? String(HOSTS_TO_QUARANTINE),
      1,
      10_000,
    ),
    notifyAllow: parseNotifyAllow(read("notify-allow")),
    notifyProxy: parseNotifyProxy(read("notify-proxy")),
    databaseUrl: read("database-url"),
    lifetimes: readLifetimes((setting, days) => parseWhole(setting, read(setting) ?? days, 0, 36_500)),
    authorityRollover: parseAuthorityRollover(read("authority-rollover"), certPath !== undefined, (problem) => {
      throw new ConfigError(`${variableOf("authority-rollover")} ${problem}`);
    }),
    tls: certPath === undefined || keyPath === undefined ? undefined : { certPath, keyPath },
    version,
    faultPoint: read("fault-point"),
  };
}

function parseNotifyAllow(text: string | undefined): AllowedDestinations {
  try {
    return parseAllowedDestinations(splitList(text));
  } catch (error) {
    throw new ConfigError(
      `${variableOf("notify-allow")} must be a list such as hooks.internal,10.1.2.0/24: ${(error as Error).message}`,
    );
  }
}

function parseNotifyProxy(text: string | undefined): string | undefined {
  if (text === undefined || /^http:\/\/[^/@\s]+\/?$/.test(text)) return text;
  throw new ConfigError(`${variableOf("notify-proxy")} must be http://name:port, not ${text}`);
}

function splitList(text: string | undefined): readonly string[] {
  return (text ?? "")
    .split(",")
    .map((entry) => entry.trim())
    .filter((entry) => entry !== "");
}

function parseFlags(argv: readonly string[]): Partial<Record<Setting, string>> {
  try {
    return parseArgs({ args: [...argv], options: SETTING_FLAGS, strict: true }).values;
  } catch (error) {
    throw new ConfigError(error instanceof Error ? error.message : String(error));
  }
}

function parseListen(setting: Setting, text: string): ListenAddress {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:\s]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > 65_535) {
    throw new ConfigError(`${variableOf(setting)} must be address:port, such as 127.0.0.1:7170, not ${text}`);
  }
  return { host, port };
}

function parseWhole(setting: Setting, text: string, least: number, greatest: number): number {
  const value = Number(text);
  if (/^\d{1,15}$/.test(text) && value >= least && value <= greatest) return value;
  throw new ConfigError(`${variableOf(setting)} must be a whole number from ${least} to ${greatest}, not ${text}`);
}

/** `host:port`, as agents are configured. */
function checkAgentUrl(text: string): string {
  if (/^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):\d{1,5}$/.test(text)) return text;
  throw new ConfigError(
    `${variableOf("agent-urls")} must be a list of host:port, such as rollcall.example.org:7171, not ${text}`,
  );
}

function parsePublicUrl(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && /^https?:$/.test(url.protocol) && url.pathname === "/" && url.search + url.hash === "")
    return url.origin;
  throw new ConfigError(
    `${variableOf("public-url")} must be a URL without a path, such as https://rollcall.example.org, not ${text}`,
  );
}

function parseProxy(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const family = isIP(text);
  if (family === 0)
    throw new ConfigError(`${variableOf("trust-proxy")} must be an IP address, such as 10.0.0.5, not ${text}`);
  return new SocketAddress({ address: text, family: family === 6 ? "ipv6" : "ipv4" }).address;
}

function readFirstAdmin(
  username: string | undefined,
  password: string | undefined,
  passwordPath: string | undefined,
): FirstAdminConfig | undefined {
  const file = variableOf("admin-password-file");
  if (password !== undefined && passwordPath !== undefined)
    throw new ConfigError(`only one of ${ADMIN_PASSWORD_VARIABLE} and ${file} may be given`);
  const given =
    password !== undefined ? { text: password } : passwordPath !== undefined ? { path: passwordPath } : undefined;
  if (username === undefined && given === undefined) return undefined;
  if (username === undefined || given === undefined)
    throw new ConfigError(
      `${variableOf("admin-username")} must be given together with ${ADMIN_PASSWORD_VARIABLE} or ${file}`,
    );
  return { username, password: given };
}

/** How the web listener speaks: plain where no network is, or where the proxy in front speaks TLS. */
export function isWebTls(config: Config): boolean {
  return config.trustedProxy === undefined && !isLoopback(config.webListen.host);
}

/** True for an address that only this machine can reach. */
function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

/** The names in this server's certificate: those it is configured with, and this machine's own. */
export function certificateNames(config: Config, hostname: string): readonly string[] {
  const urls = config.agentUrls.map((url) => unbracketed(url.replace(/:\d+$/, "")));
  const listen = [config.agentListen.host, ...(isWebTls(config) ? [config.webListen.host] : [])];
  const publicName = isWebTls(config) ? publicHostname(config) : undefined;
  return [
    ...new Set([
      "localhost",
      "127.0.0.1",
      "::1",
      hostname,
      ...listen.filter((host) => !isWildcard(host)),
      ...urls,
      ...(publicName === undefined ? [] : [unbracketed(publicName)]),
    ]),
  ];
}

/**
 * `host:port` where agents reach this server. Unless somebody said, the listener's own address; where that is none,
 * the name under which somebody reached the web listener, if the agents' certificate holds it too.
 */
export function agentAddresses(config: Config, port: number, webHostname: string, hostname: string): readonly string[] {
  if (config.agentUrls.length > 0) return config.agentUrls;
  const { host } = config.agentListen;
  const reached = unbracketed(webHostname);
  const shared = certificateNames(config, hostname).includes(reached) ? reached : hostname;
  const name = isWildcard(host) ? shared : host;
  return [name.includes(":") ? `[${name}]:${port}` : `${name}:${port}`];
}

/** The names that requests to the web listener may call it by, as they stand in a URL. */
export function webHostnames(config: Config, hostname: string): ReadonlySet<string> {
  const { host } = config.webListen;
  const publicName = publicHostname(config);
  return new Set(
    [
      "localhost",
      "127.0.0.1",
      "[::1]",
      hostname,
      ...(isWildcard(host) ? [] : [host.includes(":") ? `[${host}]` : host]),
      ...(publicName === undefined ? [] : [publicName]),
    ].map((name) => name.toLowerCase()),
  );
}

function publicHostname(config: Config): string | undefined {
  return config.publicUrl === undefined ? undefined : new URL(config.publicUrl).hostname;
}

/** An address to listen on that nobody can be reached at. */
function isWildcard(host: string): boolean {
  return host === "0.0.0.0" || host === "::";
}

function unbracketed(host: string): string {
  return host.replace(/^\[|\]$/g, "");
}
