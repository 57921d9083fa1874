/**
 * The listener's certificates on disk, below `<dataDir>/tls`: `ca.key`, `ca.crt` and
 * `server.pem`. The root is made once, since agents pin it, and replaced by the operator
 * alone: `next-ca.key` and `next-ca.crt` are told to agents beside it, then sign, and then
 * take its place. The leaf is reissued when it no longer fits.
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import type { Clock, Random } from "../domain/clock.ts";
import type { AuthorityRollover } from "../domain/authority-rollover.ts";
import { createAuthority, createKeyPem, issueLeaf, type CertificatePair } from "./certificate-authority.ts";
import { normalizeNames } from "./subject-names.ts";
import { writeDurably } from "./write-durably.ts";

/** A certificate chain and key that the operator brought. */
export interface GivenCertificate {
  readonly certPath: string;
  readonly keyPath: string;
}

export interface CertificateOptions {
  readonly dataDir: string;
  /** DNS names and IP addresses that agents connect to. */
  readonly names: readonly string[];
  readonly given?: GivenCertificate | undefined;
  /** Where the change to the authority in `next-ca.key` and `next-ca.crt` stands; made when it is first named. */
  readonly rollover?: AuthorityRollover | undefined;
  readonly clock: Pick<Clock, "now">;
  readonly random: Pick<Random, "bytes">;
}

/** What the listener serves, and what agents pin. */
export interface Certificates extends CertificatePair {
  /** Whom agents are to trust, the issuer first. `undefined` for a given certificate: who issued that is the operator's to say. */
  readonly caPem: string | undefined;
  /** The same, one by one. */
  readonly authorities: readonly string[];
  readonly expiresAt: Date;
}

const REISSUE_BEFORE_MS = 30 * 86_400_000;

/**
 * Reads the certificates and makes what is missing.
 *
 * *Throws* Error that names the file when a given pair or the authority can't be used.
 */
export async function loadCertificates(options: CertificateOptions): Promise<Certificates> {
  if (options.given !== undefined) return await loadGiven(options.given, options.clock.now());
  const folder = join(options.dataDir, "tls");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const current = await loadAuthority(folder, "ca", options);
  const next = options.rollover === undefined ? undefined : await loadAuthority(folder, "next-ca", options);
  const [issuer, other] = next !== undefined && options.rollover === "switch" ? [next, current] : [current, next];
  const leaf = await loadLeaf(folder, issuer, options);
  const authorities = [issuer, ...(other === undefined ? [] : [other])].map(({ certPem }) => certPem);
  return {
    ...leaf,
    caPem: authorities.join(""),
    authorities,
    expiresAt: new X509Certificate(leaf.certPem).validToDate,
  };
}

async function loadGiven(given: GivenCertificate, now: Date): Promise<Certificates> {
  const certPem = await readFile(given.certPath, "utf8");
  const keyPem = await readFile(given.keyPath, "utf8");
  const certificate = parse(() => new X509Certificate(certPem), `${given.certPath} holds no PEM certificate`);
  const key = parse(() => createPrivateKey(keyPem), `${given.keyPath} holds no PEM private key`);
  if (!certificate.checkPrivateKey(key))
    throw new Error(`${given.keyPath} is not the key of the first certificate in ${given.certPath}`);
  const expiresAt = certificate.validToDate;
  if (expiresAt <= now) throw new Error(`the certificate in ${given.certPath} expired at ${expiresAt.toISOString()}`);
  return { certPem, keyPem, caPem: undefined, authorities: [], expiresAt };
}

async function loadAuthority(folder: string, name: string, options: CertificateOptions): Promise<CertificatePair> {
  const keyPath = join(folder, `${name}.key`);
  const certPath = join(folder, `${name}.crt`);
  const certPem = await readIfThere(certPath);
  const keyPem = await readIfThere(keyPath);
  if (certPem !== undefined && keyPem !== undefined) {
    const certificate = parse(
      () => new X509Certificate(certPem),
      `${certPath} holds no PEM certificate; restore it from a backup`,
    );
    const key = parse(() => createPrivateKey(keyPem), `${keyPath} holds no PEM private key; restore it from a backup`);
    if (!certificate.checkPrivateKey(key))
      throw new Error(`${keyPath} is not the key of ${certPath}; restore both from one backup`);
    return { certPem, keyPem };
  }
  if (certPem !== undefined)
    throw new Error(`${keyPath} is missing; agents trust ${certPath} only, so restore the key from a backup`);
  // A key alone is what a start that was cut short left; nobody trusts it yet.
  const authority = createAuthority(keyPem ?? createKeyPem(), options.clock.now(), options.random);
  if (keyPem === undefined) await writeDurably(keyPath, authority.keyPem, 0o600);
  await writeDurably(certPath, authority.certPem, 0o644);
  return authority;
}

async function loadLeaf(
  folder: string,
  authority: CertificatePair,
  options: CertificateOptions,
): Promise<CertificatePair> {
  const names = normalizeNames(options.names);
  const path = join(folder, "server.pem");
  const bundle = await readIfThere(path);
  const found = bundle === undefined ? undefined : splitBundle(bundle);
  if (found !== undefined && fits(found, authority, names, options.clock.now())) return found;
  const leaf = issueLeaf(authority, names, options.clock.now(), options.random);
  await writeDurably(path, leaf.certPem + leaf.keyPem, 0o600);
  return leaf;
}

/** Certificate and key share a file, so that no crash can leave one without the other. */
function splitBundle(bundle: string): CertificatePair {
  const keyAt = bundle.indexOf("-----BEGIN PRIVATE KEY-----");
  return keyAt === -1
    ? { certPem: bundle, keyPem: "" }
    : { certPem: bundle.slice(0, keyAt), keyPem: bundle.slice(keyAt) };
}

function fits(leaf: CertificatePair, authority: CertificatePair, names: readonly string[], now: Date): boolean {
  try {
    const certificate = new X509Certificate(leaf.certPem);
    return (
      certificate.checkPrivateKey(createPrivateKey(leaf.keyPem)) &&
      certificate.verify(new X509Certificate(authority.certPem).publicKey) &&
      certificate.validFromDate <= now &&
      certificate.validToDate.getTime() - now.getTime() >= REISSUE_BEFORE_MS &&
      certificate.subjectAltName?.split(", ").length === names.length &&
      names.every((name) => isNamed(certificate, name))
    );
  } catch {
    // Torn or foreign: issue a new one.
    return false;
  }
}

function isNamed(certificate: X509Certificate, name: string): boolean {
  if (isIP(name) !== 0) return certificate.checkIP(name) !== undefined;
  return certificate.subjectAltName?.split(", ").includes(`DNS:${name}`) ?? false;
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function parse<T>(read: () => T, sentence: string): T {
  try {
    return read();
  } catch (cause) {
    throw new Error(sentence, { cause });
  }
}
