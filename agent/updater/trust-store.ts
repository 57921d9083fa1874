/**
 * Which keys this host takes releases from, and below which sequence it takes none.
 *
 * Trust begins with the root keys and the sequences of the running build. It moves
 * in two ways, both durable before anything relies on them:
 *
 * | event | floor | key set |
 * |---|---|---|
 * | an update is confirmed | rises to its sequence | as it was |
 * | a root-signed key set of a higher sequence | replaced where the key set says so, also downwards | replaced |
 *
 * Neither the floor nor the key set is ever older than the running build: a key set of
 * long ago, sent to a host that knows none, must not bring a revoked key or an old hole back.
 * A confirmed update is counted once, however often its journal is read: what a key
 * set lowered since, after a thief of a signing key had raised it, stays lowered.
 *
 * A record that is there but cannot be relied on might hide a higher floor or a
 * revocation. Until somebody on the host puts it right or removes it, no release
 * is taken; the file itself is left as it is.
 *
 * No clock is asked: no date can stop a host.
 */
import { dirname } from "node:path";
import type { PublicKey } from "../../gen/minisign.ts";
import { verifyKeySet } from "../../gen/release-trust.ts";
import { JobReason } from "../../gen/rollcall/v1/model_pb.js";
import type { KeySet } from "../../gen/rollcall/v1/release_pb.js";
import { stageFailure } from "./disk-failure.ts";
import { oneLine, printablePath } from "./one-line.ts";
import type { TrustFile } from "./trust-file.ts";
import { FIRST_RECORD, MAX_RECORD_BYTES, type SignedKeys, type TrustRecord } from "./trust-record.ts";
import { UpdateError } from "./update-error.ts";

/** What a build trusts by itself. */
export interface BuildTrust {
  readonly roots: readonly PublicKey[];
  readonly sequence: number;
  /** Of the key set that it was published under; no older one is taken. */
  readonly keysSequence: number;
}

/** Reads what this host remembers. A record that cannot be relied on is no error here: `problem` tells of it. */
export async function openTrustStore(file: TrustFile, build: BuildTrust): Promise<TrustStore> {
  const store = new TrustStore(file, build);
  await store.reload();
  return store;
}

/** One process's view of its trust record. */
export class TrustStore {
  readonly #file: TrustFile;
  readonly #build: BuildTrust;
  #record: TrustRecord = FIRST_RECORD;
  #keySet: KeySet | undefined;
  #problem: string | undefined;
  /** True while memory is ahead of the disk. */
  #isUnwritten = false;
  /** Changes follow one another: each begins with what the one before it left. */
  #changes: Promise<unknown> = Promise.resolve();

  constructor(file: TrustFile, build: BuildTrust) {
    this.#file = file;
    this.#build = build;
  }

  /** Releases of a lower sequence are refused. */
  get sequenceFloor(): number {
    return Math.max(this.#record.sequenceFloor, this.#build.sequence);
  }

  /** The key set that counts now; `undefined` while none was accepted under this build's roots. */
  get keySet(): KeySet | undefined {
    return this.#keySet;
  }

  /** Of the key set that counts now; 0 for none. */
  get keysSequence(): number {
    return Number(this.#keySet?.sequence ?? 0n);
  }

  /** Why no release can be trusted at all, as a sentence; `undefined` when all is well. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Reads the record anew. */
  async reload(): Promise<void> {
    const reading = await this.#file.read();
    this.#problem = reading.kind === "damaged" ? describeDamage(this.#file.path, reading.problem) : undefined;
    this.#record = reading.kind === "read" ? reading.record : FIRST_RECORD;
    this.#keySet = this.#verifyKept(this.#record.keys);
  }

  /**
   * Takes the key set that came with a release, and keeps it when it is newer than the one known.
   *
   * *Shape*: the key set that counts from now on: nothing that came leaves the known one.
   *
   * *Throws* UpdateError: keys_invalid, keys_outdated, or what the disk said. TrustError (keys_invalid).
   */
  acceptKeys(offered: SignedKeys): Promise<KeySet> {
    return this.#change(async () => {
      if (this.#problem !== undefined) await this.reload();
      if (this.#problem !== undefined) throw keysInvalid(this.#problem, printablePath(this.#file.path));
      if (this.#build.roots.length === 0)
        throw keysInvalid("this agent was built without root keys: it trusts no release");
      if (this.#isUnwritten) await this.#keep(this.#record);
      if (offered.bytes.length > 0 || offered.signature.length > 0) await this.#takeKeys(offered);
      if (this.#keySet === undefined) throw keysInvalid("no key set came with the release, and this host knows none");
      return this.#keySet;
    });
  }

  /**
   * Counts a confirmed update, once.
   *
   * *Throws* what the disk said; the floor then holds in memory, and no key set is accepted before it is written down.
   */
  raiseFloor(jobId: string, sequence: number): Promise<void> {
    return this.#change(async () => {
      const { confirmed, sequenceFloor } = this.#record;
      // What cannot be read may say more than this update does.
      if (this.#problem !== undefined) return;
      if (confirmed?.jobId !== jobId || confirmed.sequence !== sequence) {
        const raised = Math.max(sequenceFloor, sequence);
        this.#record = { ...this.#record, sequenceFloor: raised, confirmed: { jobId, sequence } };
        this.#isUnwritten = true;
      }
      if (this.#isUnwritten) await this.#write(this.#record);
    });
  }

  async #takeKeys(offered: SignedKeys): Promise<void> {
    const keySet = verifyKeySet(offered.bytes, offered.signature, this.#build.roots);
    const { keysSequence } = this;
    const newestKnown = Math.max(keysSequence, this.#build.keysSequence);
    if (keySet.sequence < newestKnown) {
      const detail = `the key set has sequence ${keySet.sequence}, this host knows of one of sequence ${newestKnown}`;
      throw new UpdateError(JobReason.KEYS_OUTDATED, { detail });
    }
    if (keySet.sequence === BigInt(keysSequence)) return;
    const keys = { bytes: Buffer.from(offered.bytes), signature: Buffer.from(offered.signature) };
    const sequenceFloor = Number(keySet.sequenceFloor ?? this.#record.sequenceFloor);
    await this.#keep({ ...this.#record, sequenceFloor, keys });
    this.#keySet = keySet;
  }

  /** Writes for an update: what the disk says then is why that update fails. */
  async #keep(record: TrustRecord): Promise<void> {
    try {
      await this.#write(record);
    } catch (cause) {
      const { path } = this.#file;
      throw await stageFailure(path, dirname(path), BigInt(MAX_RECORD_BYTES), cause);
    }
  }

  async #write(record: TrustRecord): Promise<void> {
    await this.#file.write(record);
    this.#record = record;
    this.#isUnwritten = false;
  }

  /** What an older build kept, or one with other roots, may count for nothing here; then the next one is taken. */
  #verifyKept(keys: SignedKeys | undefined): KeySet | undefined {
    if (keys === undefined) return undefined;
    try {
      const keySet = verifyKeySet(keys.bytes, keys.signature, this.#build.roots);
      return keySet.sequence < this.#build.keysSequence ? undefined : keySet;
    } catch {
      return undefined;
    }
  }

  #change<T>(act: () => Promise<T>): Promise<T> {
    const done = this.#changes.then(act);
    this.#changes = done.catch(() => undefined);
    return done;
  }
}

function describeDamage(path: string, problem: string): string {
  return `${path} cannot be relied on: ${problem}. No release is trusted until it is put right; removing it makes this host forget which releases and keys it refused`;
}

function keysInvalid(sentence: string, path?: string): UpdateError {
  return new UpdateError(JobReason.KEYS_INVALID, { path, detail: oneLine(sentence, 500) });
}
