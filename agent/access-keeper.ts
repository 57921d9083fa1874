/**
 * Follows the servers to other addresses and to another authority.
 *
 * What a server says of itself is tried beside the session that it was said on. Only once a trusted connection came
 * about by what was said alone is it kept, durably, and then it takes the place of what held before: so a wrong
 * address or a certificate that nobody serves yet costs nothing, and who was left out is trusted no longer.
 */
import { X509Certificate } from "node:crypto";
import type { ServerAccess as ToldAccess } from "../gen/rollcall/v1/agent_pb.js";
import { isServerList, type ServerAccess } from "./access-file.ts";
import type { Clock, Random } from "./clock.ts";
import { describeError, type Log } from "./log.ts";

/** What the keeper works with. */
export interface AccessKeeperParts {
  /** What holds now. */
  readonly access: ServerAccess;
  /** Whether a trusted connection comes about. */
  readonly canReach: (access: ServerAccess) => Promise<boolean>;
  /** Keeps it durably. */
  readonly keep: (access: ServerAccess) => Promise<void>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** A fleet hears of a change at one time: each host tries within so many heartbeats of its own choice. */
const SPREAD_HEARTBEATS = 2;
const RETRY_HEARTBEATS = 40;
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;
const MAX_AUTHORITIES = 8;
const MAX_PEM_CHARACTERS = 64 * 1024;

export class AccessKeeper {
  readonly #parts: AccessKeeperParts;
  #access: ServerAccess;

  constructor(parts: AccessKeeperParts) {
    this.#parts = parts;
    this.#access = parts.access;
  }

  /** `host:port`, in the order to try. *Shape*: the same array as long as nothing changed. */
  get servers(): readonly string[] {
    return this.#access.servers;
  }

  /** Certificates to trust, in PEM. */
  get roots(): Buffer {
    return this.#access.roots;
  }

  /** A server said this; resolves once it holds, or `signal`, the session's, is aborted. Never throws. */
  async told(said: ToldAccess, heartbeatMs: number, signal: AbortSignal): Promise<void> {
    const { log, clock, random } = this.#parts;
    const next = this.#read(said);
    if (next === undefined) return;
    let pauseMs = random.next() * SPREAD_HEARTBEATS * heartbeatMs;
    try {
      for (;;) {
        await clock.sleep(pauseMs, signal);
        if (await this.#adopt(next, signal)) return;
        log.warn("server_access_not_answered", { servers: next.servers.join(", ") });
        pauseMs = RETRY_HEARTBEATS * heartbeatMs;
      }
    } catch (error) {
      if (!signal.aborted) log.error("server_access_not_kept", { cause: describeError(error) });
    }
  }

  async #adopt(next: ServerAccess, signal: AbortSignal): Promise<boolean> {
    if (!(await this.#parts.canReach(next))) return false;
    // A later session may have said something else meanwhile.
    if (signal.aborted) return true;
    await this.#parts.keep(next);
    this.#access = next;
    this.#parts.log.info("server_access_adopted", {
      servers: next.servers.join(", "),
      authorities: certificatesOf(next.roots.toString()).length,
    });
    return true;
  }

  /** *Shape*: `undefined` for what changes nothing, or may not be followed. */
  #read({ servers, authoritiesPem }: ToldAccess): ServerAccess | undefined {
    const problem = findProblem(servers, authoritiesPem);
    if (problem !== undefined) {
      this.#parts.log.warn("server_access_refused", { cause: problem });
      return undefined;
    }
    const hasMoved = servers.length > 0 && !isSameSet(servers, this.#access.servers);
    const hasNewAuthorities =
      authoritiesPem !== "" && !isSameSet(fingerprints(authoritiesPem), fingerprints(this.#access.roots.toString()));
    if (!hasMoved && !hasNewAuthorities) return undefined;
    return {
      servers: hasMoved ? shuffled(servers, this.#parts.random) : this.#access.servers,
      roots: hasNewAuthorities ? Buffer.from(certificatesOf(authoritiesPem).join("\n")) : this.#access.roots,
    };
  }
}

function findProblem(servers: readonly string[], pem: string): string | undefined {
  if (servers.length > 0 && !isServerList(servers)) return "its servers are no list of up to 16 host:port";
  if (pem === "") return undefined;
  const certificates = pem.length > MAX_PEM_CHARACTERS ? [] : certificatesOf(pem);
  if (certificates.length === 0 || certificates.length > MAX_AUTHORITIES)
    return `its authorities are not one to ${MAX_AUTHORITIES} certificates in PEM`;
  try {
    return certificates.every((certificate) => new X509Certificate(certificate).ca)
      ? undefined
      : "one of its certificates is no authority's";
  } catch {
    return "one of its certificates cannot be read";
  }
}

function certificatesOf(pem: string): readonly string[] {
  return pem.match(CERTIFICATE) ?? [];
}

function fingerprints(pem: string): readonly string[] {
  return certificatesOf(pem).map((certificate) => new X509Certificate(certificate).fingerprint256);
}

function isSameSet(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((item) => other.includes(item));
}

/** Beginning with any: a fleet whose hosts all began with the first server would have one server. */
function shuffled(servers: readonly string[], random: Random): readonly string[] {
  const first = Math.floor(random.next() * servers.length);
  return [...servers.slice(first), ...servers.slice(0, first)];
}
