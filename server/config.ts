/** The server's settings: from the environment, or from a flag of the same name, which wins. */
import { isIP } from "node:net";
import { parseArgs } from "node:util";
import { isVersion } from "../gen/version.ts";

/** An address to listen on. */
export interface ListenAddress {
  readonly host: string;
  /** 0 for any free one. */
  readonly port: number;
}

/** Every setting, checked. */
export interface Config {
  readonly dataDir: string;
  readonly releasesDir: string;
  readonly webListen: ListenAddress;
  readonly agentListen: ListenAddress;
  /** Where agents reach this server; the certificate's names come from here. */
  readonly agentUrls: readonly string[];
  /** Where people reach this server. */
  readonly publicUrl: string | undefined;
  readonly databaseUrl: string | undefined;
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
  "web-listen",
  "agent-listen",
  "agent-urls",
  "public-url",
  "database-url",
  "tls-cert",
  "tls-key",
  "version",
  "fault-point",
] as const;

type Setting = (typeof SETTINGS)[number];

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
  const webListen = parseListen("web-listen", read("web-listen") ?? "127.0.0.1:7170");
  if (!isLoopback(webListen.host)) {
    throw new ConfigError(
      `${variableOf("web-listen")} must be on loopback (127.0.0.1, [::1] or localhost), not ${webListen.host}`,
    );
  }
  const certPath = read("tls-cert");
  const keyPath = read("tls-key");
  if ((certPath === undefined) !== (keyPath === undefined)) {
    throw new ConfigError(`${variableOf("tls-cert")} and ${variableOf("tls-key")} must be given together`);
  }
  const version = read("version");
  if (version !== undefined && !isVersion(version))
    throw new ConfigError(`${variableOf("version")} is not a version: ${version}`);
  return {
    dataDir: read("data-dir") ?? "./data",
    releasesDir: read("releases-dir") ?? "./dist/releases",
    webListen,
    agentListen: parseListen("agent-listen", read("agent-listen") ?? "0.0.0.0:7171"),
    agentUrls: (read("agent-urls") ?? "")
      .split(",")
      .map((url) => url.trim())
      .filter((url) => url !== "")
      .map(checkAgentUrl),
    publicUrl: read("public-url"),
    databaseUrl: read("database-url"),
    tls: certPath === undefined || keyPath === undefined ? undefined : { certPath, keyPath },
    version,
    faultPoint: read("fault-point"),
  };
}

function parseFlags(argv: readonly string[]): Partial<Record<Setting, string>> {
  try {
    const options = Object.fromEntries(SETTINGS.map((setting) => [setting, { type: "string" as const }]));
    return parseArgs({ args: [...argv], options, strict: true }).values as Partial<Record<Setting, string>>;
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

/** `host:port`, as agents are configured. */
function checkAgentUrl(text: string): string {
  if (/^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):\d{1,5}$/.test(text)) return text;
  throw new ConfigError(
    `${variableOf("agent-urls")} must be a list of host:port, such as rollcall.example.org:7171, not ${text}`,
  );
}

/** True for an address that only this machine can reach. */
function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

/** The names in the agent listener's certificate: those agents are configured with, and this machine's own. */
export function certificateNames(config: Config, hostname: string): readonly string[] {
  const urls = config.agentUrls.map((url) => url.replace(/:\d+$/, "").replace(/^\[|\]$/g, ""));
  const listen = ["0.0.0.0", "::"].includes(config.agentListen.host) ? [] : [config.agentListen.host];
  return [...new Set(["localhost", "127.0.0.1", "::1", hostname, ...listen, ...urls])];
}

/** The names that requests to the web listener may call it by. */
export function webHostnames(config: Config): ReadonlySet<string> {
  const names = ["localhost", "127.0.0.1", "[::1]", config.webListen.host.toLowerCase()];
  if (config.publicUrl !== undefined && URL.canParse(config.publicUrl)) names.push(new URL(config.publicUrl).hostname);
  return new Set(names);
}
