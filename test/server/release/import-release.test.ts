import { readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Refusal_Reason, type Refusal } from "../../../gen/rollcall/v1/model_pb.js";
import { findOpenSockets } from "../../agent/open-sockets.ts";
import { NEW_VERSION, startControlPlane, type ControlPlane } from "../../support/control-plane.ts";
import { refusalOf } from "../../support/refusal-of.ts";
import { makeUpload, messagesOf, type ReleaseUpload } from "../../support/release-upload.ts";
import { createTestKey, nameKey, signKeySet } from "../../support/test-keys.ts";
import { TEST_PUBLISHER, writeTestRelease, type TestRelease } from "../../support/test-release.ts";

afterAll(async () => expect(await findOpenSockets()).toEqual([]));

const ARTIFACT = Buffer.alloc(300_000, "release three ");
const THREE: TestRelease = { version: "3.0.0", sequence: 3, artifact: ARTIFACT };

const { roots, signingKey } = TEST_PUBLISHER;
const secondKey = createTestKey("second signing key");

/** What an import may not change: rows, the files of the releases folder, and the audit log. */
async function pictureOf(plane: ControlPlane): Promise<unknown> {
  const { db } = plane.database;
  return {
    releases: await db.selectFrom("releases").select(["version", "manifest_sha256", "signature"]).execute(),
    artifacts: await db.selectFrom("release_artifacts").select(["version", "sha256"]).execute(),
    keySets: await db.selectFrom("key_sets").select(["sequence", "keys"]).execute(),
    audits: await db.selectFrom("audit_events").select("id").execute(),
    files: (await readdir(plane.releasesDir, { recursive: true })).sort(),
  };
}

const upload = (plane: ControlPlane, release: ReleaseUpload) => plane.fleet.importRelease(messagesOf(release));

async function refusedFor(plane: ControlPlane, release: ReleaseUpload): Promise<Refusal | undefined> {
  const before = await pictureOf(plane);
  const refusal = await refusalOf(upload(plane, release));
  expect(await pictureOf(plane)).toEqual(before);
  return refusal;
}

const flip = (bytes: Buffer, at = 10): Buffer => {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
};

describe("an upload that is wrong changes nothing and names the file", () => {
  let plane: ControlPlane;
  let good: ReleaseUpload;
  beforeAll(async () => {
    plane = await startControlPlane();
    good = await makeUpload(THREE);
  });
  afterAll(() => plane[Symbol.asyncDispose]());

  const artifactOf = (data: Buffer, platform = "linux-x64") => ({ ...good, artifacts: [{ platform, data }] });
  const invalid = (file: string, problem: string) => ({
    reason: Refusal_Reason.RELEASE_INVALID,
    details: { file, problem },
  });
  const ARTIFACT_FILE = "linux-x64/rollcall-agent";

  test("when an artifact has another byte", async () => {
    expect(await refusedFor(plane, artifactOf(flip(ARTIFACT, 200_000)))).toMatchObject(
      invalid(ARTIFACT_FILE, "wrong_digest"),
    );
  });

  test("when an artifact is short, and as soon as it is longer than its manifest says", async () => {
    expect(await refusedFor(plane, artifactOf(ARTIFACT.subarray(1)))).toMatchObject(
      invalid(ARTIFACT_FILE, "wrong_size"),
    );
    const endless = async function* () {
      yield* messagesOf({ ...good, artifacts: [] });
      for (;;) yield { part: { case: "chunk" as const, value: { platform: "linux-x64", data: Buffer.alloc(50_000) } } };
    };
    const before = await pictureOf(plane);
    expect(await refusalOf(plane.fleet.importRelease(endless()))).toMatchObject(invalid(ARTIFACT_FILE, "wrong_size"));
    expect(await pictureOf(plane)).toEqual(before);
  });

  test("when no artifact comes, or one that the manifest does not have next", async () => {
    expect(await refusedFor(plane, { ...good, artifacts: [] })).toMatchObject(invalid(ARTIFACT_FILE, "wrong_size"));
    expect(await refusedFor(plane, artifactOf(ARTIFACT, "linux-arm64"))).toMatchObject(
      invalid(ARTIFACT_FILE, "wrong_size"),
    );
    const before = await pictureOf(plane);
    const twice = { ...good, artifacts: [...good.artifacts, { platform: "linux-arm64", data: ARTIFACT }] };
    await expect(upload(plane, twice)).rejects.toThrow("chunk.platform: linux-arm64 is not what the manifest has next");
    expect(await pictureOf(plane)).toEqual(before);
  });

  test("when the manifest, its signature or the key set was changed after it was signed", async () => {
    expect(await refusedFor(plane, { ...good, manifest: flip(good.manifest) })).toMatchObject(
      invalid("manifest.json.minisig", "signature_invalid"),
    );
    expect(await refusedFor(plane, { ...good, signature: Buffer.from("no signature") })).toMatchObject(
      invalid("manifest.json.minisig", "signature_invalid"),
    );
    expect(await refusedFor(plane, { ...good, keys: flip(good.keys) })).toMatchObject(
      invalid("keys.json", "keys_invalid"),
    );
  });

  test("when the key set is signed by a signing key", async () => {
    const { bytes, signature } = signKeySet(signingKey, { sequence: 9n, signingKeys: [nameKey(secondKey)] });
    expect(await refusedFor(plane, { ...good, keys: bytes, keysSignature: signature })).toMatchObject(
      invalid("keys.json", "keys_invalid"),
    );
  });

  test("when a key that nobody named signed it", async () => {
    const foreign = await makeUpload({ ...THREE, signedBy: secondKey });
    expect(await refusedFor(plane, foreign)).toMatchObject(invalid("manifest.json.minisig", "key_unknown"));
  });

  test("when its version or its sequence means something else already", async () => {
    const other = await makeUpload({ version: NEW_VERSION, sequence: 2, artifact: ARTIFACT });
    expect(await refusedFor(plane, other)).toMatchObject({
      reason: Refusal_Reason.RELEASE_KNOWN,
      details: { version: NEW_VERSION },
    });
    const taken = await makeUpload({ ...THREE, sequence: 2 });
    expect(await refusedFor(plane, taken)).toMatchObject({ reason: Refusal_Reason.RELEASE_KNOWN });
  });

  test("when its first message holds no documents, or a later one does", async () => {
    const before = await pictureOf(plane);
    const documents = { ...good, artifacts: [] };
    const chunks = async function* () {
      const messages = messagesOf(good);
      await messages.next();
      yield* messages;
    };
    const documentsTwice = async function* () {
      yield* messagesOf(documents);
      yield* messagesOf(documents);
    };
    const nothing = async function* () {
      yield* [];
    };
    const send = (messages: ReturnType<typeof messagesOf>) => plane.fleet.importRelease(messages);
    await expect(send(chunks())).rejects.toThrow("documents: must be the first message of an import");
    await expect(send(documentsTwice())).rejects.toThrow("chunk: is required in every message after the first");
    await expect(send(nothing())).rejects.toThrow("documents: must be the first message of an import");
    expect(await pictureOf(plane)).toEqual(before);
  });

  test("when its client goes away in the middle", async () => {
    const before = await pictureOf(plane);
    const leaving = new AbortController();
    const until = async function* () {
      let sent = 0;
      for await (const message of messagesOf(good)) {
        yield message;
        sent += 1;
        if (sent === 3) leaving.abort();
      }
    };
    await expect(plane.fleet.importRelease(until(), { signal: leaving.signal })).rejects.toThrow("aborted");
    await expect.poll(() => pictureOf(plane)).toEqual(before);
  });
});

describe("a release that is uploaded", () => {
  test("is listed with its signer, stands in the releases folder, and may be uploaded again", async () => {
    await using plane = await startControlPlane();
    const good = await makeUpload(THREE);
    const { release } = await upload(plane, good);
    expect(release).toMatchObject({
      version: "3.0.0",
      sequence: 3n,
      keyId: signingKey.publicKey.keyId,
      keyLabel: "test signing key",
      development: false,
      target: false,
      artifacts: [{ platform: "linux-x64", sizeBytes: BigInt(ARTIFACT.length) }],
    });
    const folder = join(plane.releasesDir, "3.0.0");
    expect(await readFile(join(folder, "linux-x64", "rollcall-agent"))).toEqual(ARTIFACT);
    expect((await stat(join(folder, "linux-x64", "rollcall-agent"))).mode & 0o777).toBe(0o755);
    expect(await readFile(join(folder, "manifest.json"))).toEqual(good.manifest);
    expect(await readFile(join(folder, "keys.json.minisig"))).toEqual(good.keysSignature);
    const { events } = await plane.fleet.listAuditEvents({ actionPrefix: "release.imported" });
    expect(events[0]).toMatchObject({ actor: "admin-token", cause: "it was uploaded" });

    const before = await pictureOf(plane);
    expect((await upload(plane, good)).release?.version).toBe("3.0.0");
    expect(await pictureOf(plane)).toEqual(before);
    expect((await readdir(plane.releasesDir)).filter((name) => name.startsWith("."))).toEqual([]);
  });

  test("makes files whole again that were lost or damaged on the disk", async () => {
    await using plane = await startControlPlane();
    const good = await makeUpload(THREE);
    await upload(plane, good);
    const path = join(plane.releasesDir, "3.0.0", "linux-x64", "rollcall-agent");
    await writeFile(path, flip(ARTIFACT));
    await upload(plane, good);
    expect(await readFile(path)).toEqual(ARTIFACT);
    await rm(join(plane.releasesDir, "3.0.0"), { recursive: true });
    await upload(plane, good);
    expect(await readFile(path)).toEqual(ARTIFACT);
  });

  test("takes the place of a folder that was never imported", async () => {
    await using plane = await startControlPlane();
    await writeTestRelease(plane.releasesDir, { ...THREE, signedBy: secondKey });
    await upload(plane, await makeUpload(THREE));
    expect((await readdir(plane.releasesDir)).sort()).toEqual([NEW_VERSION, "3.0.0", "roots.pub"]);
  });

  test("by two clients at once is taken from one of them", async () => {
    await using plane = await startControlPlane();
    const good = await makeUpload(THREE);
    const { promise: otherEnded, resolve: endOther } = Promise.withResolvers<void>();
    const { promise: firstBegan, resolve: begin } = Promise.withResolvers<void>();
    const slow = async function* () {
      let sent = 0;
      for await (const message of messagesOf(good)) {
        // The third is asked for once the server read the first.
        if (sent === 2) begin();
        if (sent === 3) await otherEnded;
        yield message;
        sent += 1;
      }
    };
    const first = plane.fleet.importRelease(slow());
    await firstBegan;
    const imports = () =>
      readdir(plane.releasesDir).then((names) => names.filter((name) => name.startsWith(".import-")));
    await expect.poll(imports).toHaveLength(1);
    expect(await refusalOf(upload(plane, good))).toMatchObject({
      reason: Refusal_Reason.RELEASE_KNOWN,
      details: { version: "3.0.0" },
    });
    endOther();
    expect((await first).release?.version).toBe("3.0.0");
  });
});

describe("key sets", () => {
  const bothKeys = signKeySet(roots[1], {
    sequence: 2n,
    signingKeys: [nameKey(signingKey), nameKey(secondKey, "two")],
  });
  const revoked = signKeySet(roots[0], {
    sequence: 3n,
    signingKeys: [nameKey(secondKey, "two")],
    revokedKeys: [signingKey.publicKey.text],
  });
  const storedSequence = async (plane: ControlPlane) =>
    (await plane.database.db.selectFrom("key_sets").select("sequence").executeTakeFirst())?.sequence;

  test("of a higher sequence are kept, lower ones count no more, and a revoked key signs nothing", async () => {
    await using plane = await startControlPlane();
    expect(await storedSequence(plane)).toBe(1n);
    await upload(plane, await makeUpload({ ...THREE, keySet: bothKeys }));
    expect(await storedSequence(plane)).toBe(2n);

    // Its own key set does not name the signer, but the newest does.
    const four = { version: "4.0.0", sequence: 4, artifact: ARTIFACT };
    const { release } = await upload(plane, await makeUpload({ ...four, signedBy: secondKey }));
    expect(release?.keyLabel).toBe("two");
    expect(await storedSequence(plane)).toBe(2n);

    await upload(
      plane,
      await makeUpload({ version: "5.0.0", sequence: 5, artifact: ARTIFACT, signedBy: secondKey, keySet: revoked }),
    );
    expect(
      plane.log.filter((line) => line.includes("signed by a revoked key")).map((line): unknown => JSON.parse(line)),
    ).toEqual([
      {
        level: "warn",
        event: "releases are signed by a revoked key: hosts refuse them",
        versions: ["3.0.0", NEW_VERSION],
      },
    ]);
    const six = { version: "6.0.0", sequence: 6, artifact: ARTIFACT };
    for (const keySet of [TEST_PUBLISHER.keySet, bothKeys, revoked]) {
      expect(await refusedFor(plane, await makeUpload({ ...six, keySet }))).toMatchObject({
        reason: Refusal_Reason.RELEASE_INVALID,
        details: { file: "manifest.json.minisig", problem: "key_revoked" },
      });
    }
    const unnamed = {
      ...(await makeUpload({ ...six, signedBy: secondKey })),
      keys: Buffer.alloc(0),
      keysSignature: Buffer.alloc(0),
    };
    expect((await upload(plane, unnamed)).release?.version).toBe("6.0.0");

    // The same manifest, signed again by the key that counts.
    await upload(plane, await makeUpload({ ...THREE, signedBy: secondKey }));
    const { releases } = await plane.fleet.listReleases({});
    expect(releases.find(({ version }) => version === "3.0.0")?.keyId).toBe(secondKey.publicKey.keyId);
  });

  test("of one sequence with two contents are refused", async () => {
    await using plane = await startControlPlane();
    const other = signKeySet(roots[0], { sequence: 1n, signingKeys: [nameKey(secondKey)] });
    expect(await refusedFor(plane, await makeUpload({ ...THREE, keySet: other }))).toMatchObject({
      details: { file: "keys.json", problem: "keys_conflict" },
    });
  });
});
