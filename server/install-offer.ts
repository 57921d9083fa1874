/**
 * What a machine needs to become a host: one line to run there, the script that the
 * line fetches, and the files that the script fetches.
 *
 * The line pins this server's key, so that it needs no authority to be trusted by the
 * machine; behind a proxy, whose key is not known here, the system's authorities hold.
 * What the script is told (agents' addresses, authority, root keys) it is told under
 * that pin: the first install trusts whoever gave the line.
 */
import { createHash, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { readRootKeys } from "./release/root-keys.ts";

/** The scripts that anybody may fetch. */
export type InstallScript = "install.sh" | "install.cmd";

/** A file that the script fetches. */
export interface InstallFile {
  readonly content: Uint8Array;
  readonly contentType: string;
}

/** What an offer is made of. */
export interface InstallOfferParts {
  /** Where the agent's sources stand. */
  readonly agentFolder: string;
  readonly rootKeysPath: string;
  /** `https://name[:port]` where people reach this server, if somebody said so. */
  readonly publicOrigin: string | undefined;
  /** Where to send those who asked by an address that only this machine has. */
  readonly ownOrigin: () => string;
  /** Whether the web listener itself speaks TLS. */
  readonly isTls: boolean;
  /** What the web listener serves by now. */
  readonly certificate: () => { readonly certPem: string; readonly caPem: string | undefined };
  /** `host:port` where agents reach this server, for a host that reached it at this name. */
  readonly agentAddresses: (webHostname: string) => readonly string[];
}

const SCRIPT_TYPE = "text/x-shellscript; charset=utf-8";
const UNIT_TYPE = "text/plain; charset=utf-8";
/** By the name that it is fetched by. */
const FILES: ReadonlyMap<string, { readonly path: readonly string[]; readonly contentType: string }> = new Map([
  ["verify-release.sh", { path: ["install", "verify-release.sh"], contentType: SCRIPT_TYPE }],
  ["rollcall-agent-guard", { path: ["guard", "guard.sh"], contentType: SCRIPT_TYPE }],
  ["rollcall-agent.service", { path: ["units", "rollcall-agent.service"], contentType: UNIT_TYPE }],
  ["rollcall-agent-guard.service", { path: ["units", "rollcall-agent-guard.service"], contentType: UNIT_TYPE }],
  ["update.cmd", { path: ["windows", "update.cmd"], contentType: UNIT_TYPE }],
  ["task.xml", { path: ["windows", "task.xml"], contentType: UNIT_TYPE }],
]);
const CONFIG_FILE = "agent.json";
const FIRST_LINE = "#!/bin/sh\n";
/** The settings come before everything else, and end with the script all the same. */
const FIRST_BATCH_LINE = "@echo off & setlocal EnableExtensions DisableDelayedExpansion";
/** What may stand as it is between single quotes of a shell, and between double quotes of a batch file. */
const PLAIN_PATTERN = /^[A-Za-z0-9 \n.:/+=[\]_-]*$/;

/** Where only an administrator may write: what a user could change would run as one. */
const WINDOWS_SCRIPT = '"%ProgramFiles%\\rollcall-install.cmd"';

/** Hands out line, script and files. */
export class InstallOffer {
  readonly #parts: InstallOfferParts;

  constructor(parts: InstallOfferParts) {
    this.#parts = parts;
  }

  /** The line to run as root. `origin` is where whoever asks reached this server. */
  command(origin: string, token: string): string {
    // By the environment: every user of a machine can read arguments.
    return `${this.#fetching(origin)} | ROLLCALL_TOKEN=${token} sh`;
  }

  /** The line that makes a Windows machine a host (experimental): for a command prompt of an administrator. */
  windowsCommand(origin: string, token: string): string {
    return `${this.#fetchingOnWindows(origin)} && set "ROLLCALL_TOKEN=${token}" && ${WINDOWS_SCRIPT}`;
  }

  /** The line that renews what stands on a host, which says by its own credential who it is. */
  renewal(os: string, origin: string): string {
    if (os === "windows") return `${this.#fetchingOnWindows(origin)} && ${WINDOWS_SCRIPT}`;
    return `${this.#fetching(origin)} | sh`;
  }

  /** The script of this name, for a machine that reached this server at `origin`. *Throws* RefusedError without root keys. */
  script(name: InstallScript, origin: string): Promise<InstallFile> {
    return name === "install.sh" ? this.#shellScript(origin) : this.#batchFile(origin);
  }

  async #batchFile(origin: string): Promise<InstallFile> {
    const script = await readFile(join(this.#parts.agentFolder, "windows", "install.cmd"), "utf8");
    if (!script.startsWith(FIRST_BATCH_LINE)) throw new Error("install.cmd does not begin as it should");
    const settings = { server_url: this.#readable(origin), server_pin: this.#pin() };
    const lines = Object.entries(settings).map(([name, value]) => `set "${name}=${plain(value)}"\n`);
    const text = `${FIRST_BATCH_LINE}\n${lines.join("")}${script.slice(FIRST_BATCH_LINE.length).trimStart()}`;
    return { content: withBatchLineEnds(text), contentType: UNIT_TYPE };
  }

  async #shellScript(origin: string): Promise<InstallFile> {
    const { agentFolder, rootKeysPath, agentAddresses, certificate } = this.#parts;
    const url = this.#readable(origin);
    const script = await readFile(join(agentFolder, "install", "install.sh"), "utf8");
    if (!script.startsWith(FIRST_LINE)) throw new Error("install.sh does not begin as it should");
    const keys = await readRootKeys(rootKeysPath);
    const settings = {
      server_url: url,
      server_pin: this.#pin(),
      agent_addresses: agentAddresses(new URL(url).hostname).join(" "),
      root_keys: keys.map(({ text }) => text).join(" "),
      ca_pem: (certificate().caPem ?? "").trim(),
    };
    const lines = Object.entries(settings).map(([name, value]) => `${name}='${plain(value)}'\n`);
    const text = FIRST_LINE + lines.join("") + script.slice(FIRST_LINE.length);
    return { content: Buffer.from(text), contentType: SCRIPT_TYPE };
  }

  /** A file for a machine that reached this server at `origin`. *Shape*: `undefined` for a name that no file has. */
  async readFile(name: string, origin: string): Promise<InstallFile | undefined> {
    if (name === CONFIG_FILE) return this.#configuration(origin);
    const file = FILES.get(name);
    if (file === undefined) return undefined;
    const content = await readFile(join(this.#parts.agentFolder, ...file.path));
    return {
      content: name.endsWith(".cmd") ? withBatchLineEnds(content.toString()) : content,
      contentType: file.contentType,
    };
  }

  /** What an agent is told where no shell writes it down. */
  #configuration(origin: string): InstallFile {
    const { agentAddresses, certificate } = this.#parts;
    const { caPem } = certificate();
    const servers = agentAddresses(new URL(this.#readable(origin)).hostname);
    const config = { servers, ...(caPem === undefined ? { ca: "system" } : { ca_pem: caPem }) };
    return { content: Buffer.from(`${JSON.stringify(config, null, 2)}\n`), contentType: "application/json" };
  }

  #fetchingOnWindows(origin: string): string {
    const pin = this.#pin();
    // In double quotes: the other ones are none there.
    const trust = pin === "" ? "-fsS" : `-fsSk --pinnedpubkey "${pin}"`;
    const url = `${this.#originFor(origin)}/install/install.cmd`;
    return `"%SystemRoot%\\System32\\curl.exe" ${trust} -o ${WINDOWS_SCRIPT} ${url}`;
  }

  #fetching(origin: string): string {
    const url = `${this.#originFor(origin)}/install/install.sh`;
    const pin = this.#pin();
    return pin === "" ? `curl -fsS ${url}` : `curl -fsSk --pinnedpubkey '${pin}' ${url}`;
  }

  #originFor(origin: string): string {
    const { publicOrigin, ownOrigin } = this.#parts;
    const reached = this.#readable(origin);
    return publicOrigin ?? (isLoopback(new URL(reached).hostname) ? ownOrigin() : reached);
  }

  /** A request may name a port that none is. */
  #readable(origin: string): string {
    return URL.canParse(origin) ? origin : this.#parts.ownOrigin();
  }

  /** As curl takes it; empty without TLS of our own. */
  #pin(): string {
    if (!this.#parts.isTls) return "";
    const key = new X509Certificate(this.#parts.certificate().certPem).publicKey;
    const digest = createHash("sha256").update(key.export({ type: "spki", format: "der" }));
    return `sha256//${digest.digest("base64")}`;
  }
}

function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || hostname.startsWith("127.");
}

/** A batch file with other line ends loses its labels. */
function withBatchLineEnds(text: string): Buffer {
  return Buffer.from(text.replaceAll(/\r?\n/g, "\r\n"));
}

/** *Throws* Error for text that a shell would read as more than text. */
function plain(value: string): string {
  if (PLAIN_PATTERN.test(value)) return value;
  throw new Error("a setting of the install script holds a character that a shell could misread");
}
