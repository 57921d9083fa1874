/**
 * A certificate authority for one server: a root that agents pin, and leaf
 * certificates signed by it. Keys are ECDSA P-256. Written out by hand, since
 * Node reads certificates but makes none, and the libraries that do need a
 * reflection polyfill in every process.
 *
 * *Source*: RFC 5280 section 4, RFC 5758 section 3.2.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  sign,
  X509Certificate,
  type KeyObject,
} from "node:crypto";
import type { Random } from "../domain/clock.ts";
import {
  bitString,
  booleanTrue,
  explicit,
  objectIdentifier,
  octetString,
  sequence,
  setOfOne,
  tagged,
  time,
  unsignedInteger,
  utf8String,
} from "./der.ts";
import { generalNames } from "./subject-names.ts";

/** A certificate and its private key, both PEM. */
export interface CertificatePair {
  readonly certPem: string;
  readonly keyPem: string;
}

const DAY_MS = 86_400_000;
/** Hosts whose clocks are behind must accept what was just issued. */
const BACKDATED_MS = DAY_MS;
/** Agents pin the root, so it has to outlive every host. */
const AUTHORITY_VALID_MS = 30 * 365 * DAY_MS;
const LEAF_VALID_MS = 365 * DAY_MS;
const ECDSA_WITH_SHA256 = sequence(objectIdentifier("1.2.840.10045.4.3.2"));
const SERVER_AUTH = objectIdentifier("1.3.6.1.5.5.7.3.1");
const KEY_CERT_SIGN_AND_CRL_SIGN = bitString(Uint8Array.of(0x06), 1);
const DIGITAL_SIGNATURE = bitString(Uint8Array.of(0x80), 7);

/** A fresh P-256 private key in PEM (PKCS #8). */
export function createKeyPem(): string {
  return generateKeyPairSync("ec", { namedCurve: "P-256" })
    .privateKey.export({ type: "pkcs8", format: "pem" })
    .toString();
}

/** A self-signed root over the key in `keyPem`. */
export function createAuthority(keyPem: string, now: Date, random: Pick<Random, "bytes">): CertificatePair {
  const key = createPrivateKey(keyPem);
  const subject = commonName("Rollcall agent listener CA");
  const extensions = [
    extension("2.5.29.19", sequence(booleanTrue(), unsignedInteger(Uint8Array.of(0))), "critical"),
    extension("2.5.29.15", KEY_CERT_SIGN_AND_CRL_SIGN, "critical"),
    extension("2.5.29.14", octetString(keyIdentifier(key))),
  ];
  return {
    certPem: signCertificate(
      { subject, issuer: subject, key, signingKey: key, validMs: AUTHORITY_VALID_MS, extensions },
      now,
      random,
    ),
    keyPem,
  };
}

/** A server certificate for `names` with a key of its own, signed by `authority`. */
export function issueLeaf(
  authority: CertificatePair,
  names: readonly string[],
  now: Date,
  random: Pick<Random, "bytes">,
): CertificatePair {
  const keyPem = createKeyPem();
  const key = createPrivateKey(keyPem);
  const signingKey = createPrivateKey(authority.keyPem);
  const extensions = [
    extension("2.5.29.19", sequence(), "critical"),
    extension("2.5.29.15", DIGITAL_SIGNATURE, "critical"),
    extension("2.5.29.37", sequence(SERVER_AUTH)),
    extension("2.5.29.17", generalNames(names)),
    extension("2.5.29.14", octetString(keyIdentifier(key))),
    extension("2.5.29.35", sequence(tagged(0x80, keyIdentifier(signingKey)))),
  ];
  const issuer = commonName("Rollcall agent listener CA");
  const subject = commonName("Rollcall agent listener");
  return {
    certPem: signCertificate({ subject, issuer, key, signingKey, validMs: LEAF_VALID_MS, extensions }, now, random),
    keyPem,
  };
}

interface CertificateRequest {
  readonly subject: Buffer;
  readonly issuer: Buffer;
  readonly key: KeyObject;
  readonly signingKey: KeyObject;
  readonly validMs: number;
  readonly extensions: readonly Buffer[];
}

function signCertificate(request: CertificateRequest, now: Date, random: Pick<Random, "bytes">): string {
  const body = sequence(
    explicit(0, unsignedInteger(Uint8Array.of(2))),
    // 127 bits: unguessable, positive and never empty.
    unsignedInteger(Buffer.concat([Uint8Array.of(0x40), random.bytes(15)])),
    ECDSA_WITH_SHA256,
    request.issuer,
    sequence(time(new Date(now.getTime() - BACKDATED_MS)), time(new Date(now.getTime() + request.validMs))),
    request.subject,
    publicKeyInfo(request.key),
    explicit(3, sequence(...request.extensions)),
  );
  const signature = sign("sha256", body, { key: request.signingKey, dsaEncoding: "der" });
  return new X509Certificate(sequence(body, ECDSA_WITH_SHA256, bitString(signature))).toString();
}

function commonName(text: string): Buffer {
  return sequence(setOfOne(sequence(objectIdentifier("2.5.4.3"), utf8String(text))));
}

function extension(id: string, value: Buffer, importance: "critical" | "optional" = "optional"): Buffer {
  return sequence(objectIdentifier(id), ...(importance === "critical" ? [booleanTrue()] : []), octetString(value));
}

function publicKeyInfo(key: KeyObject): Buffer {
  return createPublicKey(key).export({ type: "spki", format: "der" });
}

/** An uncompressed P-256 point is the last 65 bytes of its SubjectPublicKeyInfo. */
function keyIdentifier(key: KeyObject): Buffer {
  return createHash("sha1").update(publicKeyInfo(key).subarray(-65)).digest();
}
