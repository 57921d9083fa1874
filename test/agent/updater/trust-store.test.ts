import { chmod, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createTrustFile, type TrustFile } from "../../../agent/updater/trust-file.ts";
import { formatTrustRecord, type TrustRecord } from "../../../agent/updater/trust-record.ts";
import { openTrustStore, type TrustStore } from "../../../agent/updater/trust-store.ts";
import { toUpdateError } from "../../../agent/updater/update-report.ts";
import { updatePaths } from "../../../agent/updater/update-paths.ts";
import { JobReason } from "../../../gen/rollcall/v1/model_pb.js";
import { createTestPublisher, nameKey, signKeySet, type SignedDocument } from "../../support/test-keys.ts";
import { TemporaryFolder } from "../temporary-folder.ts";

const PUBLISHER = createTestPublisher();
const STRANGER = createTestPublisher("stranger");
const OWN_SEQUENCE = 5;
const NOTHING: SignedDocument = { bytes: Buffer.alloc(0), signature: Buffer.alloc(0) };

function keySet(sequence: bigint, fields: { sequenceFloor?: bigint } = {}): SignedDocument {
  return signKeySet(PUBLISHER.roots[0], { sequence, signingKeys: [nameKey(PUBLISHER.signingKey)], ...fields });
}

class TrustFixture implements AsyncDisposable {
  readonly folder: TemporaryFolder;
  readonly file: TrustFile;

  private constructor(folder: TemporaryFolder) {
    this.folder = folder;
    this.file = createTrustFile(updatePaths(folder.join("agent"), folder.path));
  }

  static async create(): Promise<TrustFixture> {
    return new TrustFixture(await TemporaryFolder.create());
  }

  /** As a process that starts now sees it. */
  open(sequence = OWN_SEQUENCE, publisher = PUBLISHER, keysSequence = 0): Promise<TrustStore> {
    return openTrustStore(this.file, { roots: publisher.rootKeys, sequence, keysSequence });
  }

  async write(record: Partial<TrustRecord>): Promise<void> {
    await writeFile(
      this.file.path,
      formatTrustRecord({ sequenceFloor: 0, confirmed: undefined, keys: undefined, ...record }),
      { mode: 0o600 },
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.folder[Symbol.asyncDispose]();
  }
}

async function refusalOfKeys(store: TrustStore, offered: SignedDocument) {
  const error: unknown = await store.acceptKeys(offered).then(
    () => undefined,
    (caught: unknown) => caught,
  );
  expect(error).toBeDefined();
  return toUpdateError(error, JobReason.UNSPECIFIED);
}

describe("a host that knows nothing yet", () => {
  test("refuses what is below its own build, and knows no keys", async () => {
    await using fixture = await TrustFixture.create();
    const store = await fixture.open();
    expect(store).toMatchObject({ sequenceFloor: OWN_SEQUENCE, keySet: undefined, problem: undefined });
    expect(await refusalOfKeys(store, NOTHING)).toMatchObject({
      reason: JobReason.KEYS_INVALID,
      message: "no key set came with the release, and this host knows none",
    });
    expect(await readdir(fixture.folder.path)).toEqual([]);
  });

  test("trusts no release when it was built without root keys", async () => {
    await using fixture = await TrustFixture.create();
    const store = await openTrustStore(fixture.file, { roots: [], sequence: 0, keysSequence: 0 });
    expect(await refusalOfKeys(store, PUBLISHER.keySet)).toMatchObject({ reason: JobReason.KEYS_INVALID });
  });
});

describe("a key set", () => {
  test("that a root signed is kept in a file of its owner alone, and counts after a restart", async () => {
    await using fixture = await TrustFixture.create();
    expect((await (await fixture.open()).acceptKeys(PUBLISHER.keySet)).sequence).toBe(1n);
    expect((await stat(fixture.file.path)).mode & 0o777).toBe(0o600);
    expect(await readdir(fixture.folder.path)).toEqual(["trust"]);
    const restarted = await fixture.open();
    expect(restarted.keySet?.sequence).toBe(1n);
    expect((await restarted.acceptKeys(NOTHING)).sequence).toBe(1n);
  });

  test("that is newer replaces the known one, whichever root signed it", async () => {
    await using fixture = await TrustFixture.create();
    const store = await fixture.open();
    await store.acceptKeys(PUBLISHER.keySet);
    const newer = signKeySet(PUBLISHER.roots[1], { sequence: 2n, signingKeys: [nameKey(STRANGER.signingKey)] });
    await store.acceptKeys(newer);
    expect((await fixture.open()).keySet?.signingKeys[0]?.publicKey).toBe(STRANGER.signingKey.publicKey.text);
  });

  test("that is older is refused, and the newer one stays", async () => {
    await using fixture = await TrustFixture.create();
    const store = await fixture.open();
    await store.acceptKeys(keySet(7n));
    const before = await readFile(fixture.file.path);
    expect(await refusalOfKeys(store, keySet(6n))).toMatchObject({
      reason: JobReason.KEYS_OUTDATED,
      message: "the key set has sequence 6, this host knows of one of sequence 7",
    });
    expect(await readFile(fixture.file.path)).toEqual(before);
    expect(store.keySet?.sequence).toBe(7n);
  });

  test("of the same sequence changes nothing, whatever it says", async () => {
    await using fixture = await TrustFixture.create();
    const store = await fixture.open();
    await store.acceptKeys(keySet(7n));
    const other = signKeySet(PUBLISHER.roots[1], { sequence: 7n, signingKeys: [nameKey(STRANGER.signingKey)] });
    expect((await store.acceptKeys(other)).signingKeys[0]?.publicKey).toBe(PUBLISHER.signingKey.publicKey.text);
  });

  test.each<[string, () => SignedDocument]>([
    ["another publisher's root signed", () => STRANGER.keySet],
    [
      "a signing key signed",
      () => signKeySet(PUBLISHER.signingKey, { sequence: 9n, signingKeys: [nameKey(STRANGER.signingKey)] }),
    ],
    ["was changed after it was signed", () => ({ ...keySet(9n), bytes: keySet(10n).bytes })],
    ["came without a signature", () => ({ ...keySet(9n), signature: Buffer.alloc(0) })],
    ["is missing beside its signature", () => ({ ...keySet(9n), bytes: Buffer.alloc(0) })],
    [
      "names no key that can be read",
      () => signKeySet(PUBLISHER.roots[0], { signingKeys: [{ ...nameKey(PUBLISHER.signingKey), publicKey: "x" }] }),
    ],
    ["is too large", () => ({ ...keySet(9n), bytes: Buffer.alloc(64 * 1024 + 1, " ") })],
  ])("that %s is refused, and the known one stays", async (_, offer) => {
    await using fixture = await TrustFixture.create();
    const store = await fixture.open();
    await store.acceptKeys(PUBLISHER.keySet);
    const before = await readFile(fixture.file.path);
    expect(await refusalOfKeys(store, offer())).toMatchObject({ reason: JobReason.KEYS_INVALID });
    expect(await readFile(fixture.file.path)).toEqual(before);
    expect((await store.acceptKeys(NOTHING)).sequence).toBe(1n);
  });

  test("that cannot be kept does not count", async () => {
    await using fixture = await TrustFixture.create();
    const store = await fixture.open();
    // A folder of that name cannot be replaced by a file.
    await mkdir(fixture.file.path);
    expect(await refusalOfKeys(store, PUBLISHER.keySet)).toMatchObject({
      reason: JobReason.DOWNLOAD_FAILED,
      details: { path: fixture.file.path, errorCode: "EISDIR" },
    });
    expect(store.keySet).toBeUndefined();
  });

  test("from before the one that the build was published under is refused, kept or sent", async () => {
    await using fixture = await TrustFixture.create();
    await (await fixture.open()).acceptKeys(keySet(4n));
    const rebuilt = await fixture.open(OWN_SEQUENCE, PUBLISHER, 5);
    expect(rebuilt.keySet).toBeUndefined();
    expect(await refusalOfKeys(rebuilt, keySet(4n))).toMatchObject({
      reason: JobReason.KEYS_OUTDATED,
      message: "the key set has sequence 4, this host knows of one of sequence 5",
    });
    expect((await rebuilt.acceptKeys(keySet(5n))).sequence).toBe(5n);
  });

  test("that another build's root signed counts for nothing, and the next one is taken", async () => {
    await using fixture = await TrustFixture.create();
    await (await fixture.open()).acceptKeys(keySet(9n));
    const rebuilt = await fixture.open(OWN_SEQUENCE, STRANGER);
    expect(rebuilt).toMatchObject({ keySet: undefined, problem: undefined });
    expect((await rebuilt.acceptKeys(STRANGER.keySet)).sequence).toBe(1n);
  });
});

describe("the sequence floor", () => {
  test("rises with a confirmed update, and stays after a restart", async () => {
    await using fixture = await TrustFixture.create();
    await (await fixture.open()).raiseFloor("job-1", 9);
    expect((await fixture.open()).sequenceFloor).toBe(9);
  });

  test("does not sink with the confirmation of a release below it", async () => {
    await using fixture = await TrustFixture.create();
    const store = await fixture.open();
    await store.raiseFloor("job-1", 9);
    await store.raiseFloor("job-2", 3);
    expect(store.sequenceFloor).toBe(9);
    expect((await fixture.open(3)).sequenceFloor).toBe(9);
  });

  test("is never below the running build's sequence", async () => {
    await using fixture = await TrustFixture.create();
    await (await fixture.open()).raiseFloor("job-1", 9);
    expect((await fixture.open(12)).sequenceFloor).toBe(12);
    expect((await fixture.open(9)).sequenceFloor).toBe(9);
  });

  test("is what a newer key set says, also downwards, and stays so when the same update is counted again", async () => {
    await using fixture = await TrustFixture.create();
    const store = await fixture.open();
    await store.raiseFloor("job-1", Number.MAX_SAFE_INTEGER);
    await store.acceptKeys(keySet(2n, { sequenceFloor: 8n }));
    expect(store.sequenceFloor).toBe(8);
    const restarted = await fixture.open();
    await restarted.raiseFloor("job-1", Number.MAX_SAFE_INTEGER);
    expect(restarted.sequenceFloor).toBe(8);
    await restarted.raiseFloor("job-2", 10);
    expect((await fixture.open()).sequenceFloor).toBe(10);
  });

  test("is not replaced twice by the same key set", async () => {
    await using fixture = await TrustFixture.create();
    const store = await fixture.open();
    const lowering = keySet(2n, { sequenceFloor: 6n });
    await store.acceptKeys(lowering);
    await store.raiseFloor("job-1", 9);
    await store.acceptKeys(lowering);
    expect(store.sequenceFloor).toBe(9);
  });

  test("is not brought below the build by a key set of long ago", async () => {
    await using fixture = await TrustFixture.create();
    const store = await fixture.open();
    await store.acceptKeys(keySet(2n, { sequenceFloor: 1n }));
    expect(store.sequenceFloor).toBe(OWN_SEQUENCE);
  });

  test("holds in memory while the disk refuses it, and is written down when it is counted again", async () => {
    await using fixture = await TrustFixture.create();
    const store = await fixture.open();
    await mkdir(fixture.file.path);
    await expect(store.raiseFloor("job-1", 9)).rejects.toThrow("EISDIR");
    expect(store.sequenceFloor).toBe(9);
    await rm(fixture.file.path, { recursive: true });
    await store.raiseFloor("job-1", 9);
    expect((await fixture.open()).sequenceFloor).toBe(9);
  });

  test("that is not on the disk yet holds up the next update", async () => {
    await using fixture = await TrustFixture.create();
    const store = await fixture.open();
    await store.acceptKeys(PUBLISHER.keySet);
    const kept = await readFile(fixture.file.path);
    await rm(fixture.file.path);
    await mkdir(fixture.file.path);
    await expect(store.raiseFloor("job-1", 9)).rejects.toThrow("EISDIR");
    expect(await refusalOfKeys(store, NOTHING)).toMatchObject({ details: { errorCode: "EISDIR" } });
    await rm(fixture.file.path, { recursive: true });
    await writeFile(fixture.file.path, kept, { mode: 0o600 });
    await store.acceptKeys(NOTHING);
    expect((await fixture.open()).sequenceFloor).toBe(9);
  });

  test("survives changes that come at the same time", async () => {
    await using fixture = await TrustFixture.create();
    const store = await fixture.open();
    await Promise.all([store.raiseFloor("job-1", 9), store.acceptKeys(keySet(4n)), store.raiseFloor("job-2", 11)]);
    expect(await fixture.open()).toMatchObject({ sequenceFloor: 11, keySet: { sequence: 4n } });
  });
});

describe("a trust file that cannot be relied on", () => {
  const SPOILERS: readonly [string, (path: string) => Promise<void>, string][] = [
    ["is torn", async (path) => writeFile(path, (await readFile(path)).subarray(0, -70)), "torn"],
    ["is empty", (path) => writeFile(path, ""), "torn"],
    [
      "has another floor",
      async (path) => writeFile(path, (await readFile(path, "utf8")).replace("floor 9", "floor 1")),
      "sha256",
    ],
    ["is somebody else's", (path) => writeFile(path, "trust me\n"), "was not written by an agent"],
    ["may be written by others", (path) => chmod(path, 0o666), "other users may write it"],
    ["is far too long", (path) => writeFile(path, "x".repeat(200_000)), "at most 131072 are read"],
    [
      "is a link",
      async (path) => {
        await writeFile(`${path}.other`, await readFile(path), { mode: 0o600 });
        await rm(path);
        await symlink(`${path}.other`, path);
      },
      "symbolic link",
    ],
    [
      "is a folder",
      async (path) => {
        await rm(path);
        await mkdir(path);
      },
      "not a regular file",
    ],
  ];

  test.each(SPOILERS)("because it %s is no reason to forget: no release is trusted", async (_, spoil, cause) => {
    await using fixture = await TrustFixture.create();
    const first = await fixture.open();
    await first.acceptKeys(PUBLISHER.keySet);
    await first.raiseFloor("job-1", 9);
    await spoil(fixture.file.path);
    const store = await fixture.open();
    expect(store.problem).toContain(cause);
    const refused = await refusalOfKeys(store, keySet(2n, { sequenceFloor: 0n }));
    expect(refused).toMatchObject({ reason: JobReason.KEYS_INVALID, details: { path: fixture.file.path } });
    expect(refused.message).toContain(cause);
  });

  test("is left as it is, also by a confirmed update", async () => {
    await using fixture = await TrustFixture.create();
    await writeFile(fixture.file.path, "torn", { mode: 0o600 });
    const store = await fixture.open();
    await store.raiseFloor("job-1", 9);
    await refusalOfKeys(store, PUBLISHER.keySet);
    expect(await readFile(fixture.file.path, "utf8")).toBe("torn");
  });

  test("hinders no longer once it was put right or removed, without a restart", async () => {
    await using fixture = await TrustFixture.create();
    await writeFile(fixture.file.path, "torn", { mode: 0o600 });
    const store = await fixture.open();
    await refusalOfKeys(store, PUBLISHER.keySet);
    await fixture.write({ sequenceFloor: 9 });
    expect((await store.acceptKeys(PUBLISHER.keySet)).sequence).toBe(1n);
    expect(store).toMatchObject({ sequenceFloor: 9, problem: undefined });

    await writeFile(fixture.file.path, "torn", { mode: 0o600 });
    const another = await fixture.open();
    await rm(fixture.file.path);
    await another.acceptKeys(PUBLISHER.keySet);
    expect(another).toMatchObject({ sequenceFloor: OWN_SEQUENCE, problem: undefined });
  });
});

test("what an interrupted write left beside the file is not read", async () => {
  await using fixture = await TrustFixture.create();
  await (await fixture.open()).raiseFloor("job-1", 9);
  await writeFile(join(fixture.folder.path, "trust.tmp"), "half");
  const store = await fixture.open();
  expect(store).toMatchObject({ sequenceFloor: 9, problem: undefined });
  await store.raiseFloor("job-2", 10);
  expect(await readdir(fixture.folder.path)).toEqual(["trust"]);
});
