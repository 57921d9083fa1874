/** Servers that share a database share keys and releases too. One that does not must not start. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import type { Kysely } from "kysely";
import { ConfigError, type Config } from "./config.ts";
import type { Db } from "./store/schema.ts";
import { agreeOnKey } from "./store/shared-keys.ts";

/** *Throws* ConfigError unless this server derives hosts' credentials with the key that the others have. */
export async function agreeOnCredentialKey(db: Kysely<Db>, config: Config, key: Uint8Array): Promise<void> {
  if (await agreeOnKey(db, "credential key", sha256(key))) return;
  throw differs(join(config.dataDir, "credential.key"), "let no host in that another server enrolled");
}

/**
 * Notes which authority signs for this database's servers, and which one follows it while one is announced.
 *
 * *Throws* ConfigError unless agents that trust the others trust this server. `authorities` are empty for a given
 * certificate, which is the operator's to choose; else the issuer comes first.
 */
export async function agreeOnAuthority(db: Kysely<Db>, config: Config, authorities: readonly string[]): Promise<void> {
  const [issuer, other] = authorities.map(sha256);
  if (issuer === undefined) return;
  const [current, next] = config.authorityRollover === "switch" ? [other, issuer] : [issuer, other];
  // One that was the current before an earlier change, or that was switched to, is no stranger.
  if (
    next !== undefined &&
    !(await agreeOnKey(db, "agents' next authority", next, current === undefined ? [] : [current]))
  )
    throw differs(join(config.dataDir, "tls", "next-ca.crt"), "be trusted by no host once it signs", "next-ca.key");
  if (await agreeOnKey(db, "agents' authority", issuer, other === undefined ? [] : [other])) return;
  throw differs(join(config.dataDir, "tls", "ca.crt"), "be trusted by no host that another server enrolled", "ca.key");
}

/** *Throws* ConfigError when this server has none of the releases that the others have. */
export function checkReleasesFolder(config: Config, known: readonly string[], here: readonly string[]): void {
  if (known.length === 0 || known.some((version) => here.includes(version))) return;
  throw new ConfigError(
    `ROLLCALL_RELEASES_DIR (${config.releasesDir}) holds none of the releases that the servers of this database know, ` +
      `such as ${known[0] ?? ""}. Servers that share a database share that folder too. Nothing was changed.`,
  );
}

function differs(path: string, consequence: string, beside?: string): ConfigError {
  const files = beside === undefined ? path : `${path} and ${beside} beside it`;
  return new ConfigError(
    `${path} is not that of the other servers of this database: this server would ${consequence}. ` +
      `Copy ${files} from the data directory of one of them. Nothing was changed.`,
  );
}

function sha256(bytes: Uint8Array | string): Buffer {
  return createHash("sha256").update(bytes).digest();
}
