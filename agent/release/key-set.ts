/** What the next key set of a publisher says. Nonsense is refused here, before anything is signed. */
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { findViolation } from "../../gen/rules.ts";
import type { PublicKey } from "../../gen/minisign.ts";
import { KeySetSchema, SigningKeySchema, type KeySet, type SigningKey } from "../../gen/rollcall/v1/release_pb.js";
import { OperatorError } from "../operator-error.ts";

/** A key and what people call it. */
export interface NamedKey {
  readonly key: PublicKey;
  readonly label: string;
}

/** What is to be different in the next key set. */
export interface KeySetChange {
  /** These may sign manifests from now on. */
  readonly add: readonly NamedKey[];
  /** Second lines of public key files: nothing that these signed counts any longer. */
  readonly revoke: readonly string[];
  /** Replaces the sequence floor of every host, also downwards. */
  readonly sequenceFloor: bigint | undefined;
}

/** The first key set of a publisher: one signing key. */
export function createFirstKeySet(signingKey: NamedKey, createdAt: Date, isDevelopment: boolean): KeySet {
  return create(KeySetSchema, {
    format: 1,
    sequence: 1n,
    createdAt: timestampFromDate(createdAt),
    signingKeys: [describeKey(signingKey)],
    development: isDevelopment,
  });
}

/**
 * The key set that follows `known`, of the next sequence. The floor is not carried
 * over: it would put hosts back that went on meanwhile.
 *
 * *Throws* OperatorError that names what makes no sense.
 */
export function createNextKeySet(
  known: KeySet,
  change: KeySetChange,
  roots: readonly PublicKey[],
  createdAt: Date,
): KeySet {
  const { add, revoke, sequenceFloor } = change;
  if (add.length === 0 && revoke.length === 0 && sequenceFloor === undefined)
    throw new OperatorError("nothing is to change: add or revoke a key, or set a floor");
  for (const { key } of add) refuseAddition(key.text, known, change, roots);
  for (const text of revoke) refuseRevocation(text, known, change);
  const signingKeys = [...known.signingKeys, ...add.map(describeKey)].filter(
    ({ publicKey }) => !revoke.includes(publicKey),
  );
  if (signingKeys.length === 0)
    throw new OperatorError(
      "no signing key would be left, and hosts would take no release any more: add a new one in the same step",
    );
  const next = create(KeySetSchema, {
    format: 1,
    sequence: known.sequence + 1n,
    createdAt: timestampFromDate(createdAt),
    signingKeys,
    revokedKeys: [...known.revokedKeys, ...revoke],
    development: known.development,
    ...(sequenceFloor === undefined ? {} : { sequenceFloor }),
  });
  const violation = findViolation(KeySetSchema, next);
  if (violation !== undefined) throw new OperatorError(`the key set's ${violation.field} ${violation.problem}`);
  return next;
}

function describeKey({ key, label }: NamedKey): SigningKey {
  return create(SigningKeySchema, { publicKey: key.text, label });
}

function refuseAddition(text: string, known: KeySet, change: KeySetChange, roots: readonly PublicKey[]): void {
  if (roots.some((root) => root.text === text))
    throw new OperatorError(`${text} is a root key, and a root key signs no releases: it would have to be online`);
  if (known.revokedKeys.includes(text)) throw new OperatorError(`${text} was revoked; make a new key instead`);
  if (change.revoke.includes(text)) throw new OperatorError(`${text} cannot be added and revoked at once`);
  const copies = [...known.signingKeys.map(({ publicKey }) => publicKey), ...change.add.map(({ key }) => key.text)];
  if (copies.filter((copy) => copy === text).length > 1) throw new OperatorError(`${text} is in the key set already`);
}

function refuseRevocation(text: string, known: KeySet, change: KeySetChange): void {
  if (known.revokedKeys.includes(text)) throw new OperatorError(`${text} is revoked already`);
  if (change.revoke.indexOf(text) !== change.revoke.lastIndexOf(text))
    throw new OperatorError(`${text} is to be revoked twice`);
}
