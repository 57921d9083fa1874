/** What stands in the releases folder when a server starts. */
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { encodePublicKey } from "../../../agent/release/secret-key.ts";
import { findOpenSockets } from "../../agent/open-sockets.ts";
import { ChildFleet } from "../../support/child-fleet.ts";
import { NEW_VERSION, startControlPlane, type ControlPlane } from "../../support/control-plane.ts";
import { createTestKey, createTestPublisher, nameKey, signKeySet } from "../../support/test-keys.ts";
import { TEST_PUBLISHER, writeTestRelease, type TestRelease } from "../../support/test-release.ts";

afterAll(async () => expect(await findOpenSockets()).toEqual([]));

const { roots, signingKey } = TEST_PUBLISHER;
const secondKey = createTestKey("second signing key");
const release = (sequence: number, more: Partial<TestRelease> = {}): TestRelease => ({
  version: `${sequence}.0.0`,
  sequence,
  artifact: Buffer.alloc(50_000 + sequence, sequence),
  ...more,
});

/** A server that finds this in its folders. */
const startWith = (prepare: (releasesDir: string, folder: string) => Promise<unknown>): Promise<ControlPlane> =>
  startControlPlane({}, undefined, {}, async (folder) => void (await prepare(join(folder, "releases"), folder)));

const versionsOf = async (plane: ControlPlane) =>
  (await plane.fleet.listReleases({})).releases.map(({ version }) => version);

const logged = (plane: ControlPlane, event: string) =>
  plane.log.map((line) => JSON.parse(line) as Record<string, unknown>).filter((line) => line["event"] === event);

describe("a release in the folder is imported as an upload is", () => {
  test("and refused in the log when it is wrong, while the others are taken and the server starts", async () => {
    await using plane = await startWith(async (releasesDir) => {
      await writeTestRelease(releasesDir, release(3));
      await rm(join(releasesDir, "3.0.0", "manifest.json.minisig"));
      await writeTestRelease(releasesDir, release(4, { signedBy: secondKey }));
      await writeFile(await writeTestRelease(releasesDir, release(5)), Buffer.alloc(50_005, 6));
      await writeTestRelease(releasesDir, release(6));
      await rename(join(releasesDir, "6.0.0"), join(releasesDir, "6.0.1"));
      await rm(await writeTestRelease(releasesDir, release(7)));
      await writeTestRelease(releasesDir, release(8));
      // The sequence of NEW_VERSION.
      await writeTestRelease(releasesDir, release(9, { sequence: 2 }));
    });
    expect(await versionsOf(plane)).toEqual(["8.0.0", NEW_VERSION]);
    const refused = logged(plane, "release not imported");
    const byVersion = refused.toSorted((one, other) => (String(one["version"]) < String(other["version"]) ? -1 : 1));
    expect(byVersion.map(({ version, level, file, problem }) => [version, level, file, problem])).toEqual([
      ["3.0.0", "error", "manifest.json.minisig", "missing"],
      ["4.0.0", "error", "manifest.json.minisig", "key_unknown"],
      ["5.0.0", "error", "linux-x64/rollcall-agent", "wrong_digest"],
      ["6.0.1", "error", "manifest.json", "wrong_version"],
      ["7.0.0", "error", "linux-x64/rollcall-agent", "missing"],
      ["9.0.0", "error", undefined, undefined],
    ]);
    expect(refused.find(({ version }) => version === "9.0.0")?.["error"]).toBe(
      `the sequence 2 is that of ${NEW_VERSION}. Nothing was changed.`,
    );
  });

  test("and signs nothing with a key that another one's key set revokes, in whichever order they are read", async () => {
    const revoked = signKeySet(roots[0], {
      sequence: 2n,
      signingKeys: [nameKey(secondKey, "two")],
      revokedKeys: [signingKey.publicKey.text],
    });
    await using plane = await startWith((releasesDir) =>
      writeTestRelease(releasesDir, release(9, { signedBy: secondKey, keySet: revoked })),
    );
    expect(await versionsOf(plane)).toEqual(["9.0.0"]);
    expect(logged(plane, "release not imported")).toMatchObject([{ version: NEW_VERSION, problem: "key_revoked" }]);
    const { events } = await plane.fleet.listAuditEvents({ actionPrefix: "release.keys_changed" });
    expect(events.map(({ actor }) => actor)).toEqual(["rollcall"]);
  });
});

describe("without root keys", () => {
  test("nothing is imported, and one line says what to do", async () => {
    await using plane = await startWith((releasesDir) => rm(join(releasesDir, "roots.pub")));
    expect(await versionsOf(plane)).toEqual([]);
    expect(logged(plane, "release not imported")).toEqual([]);
    const [line, ...more] = logged(plane, "no release is imported");
    expect(more).toEqual([]);
    expect(line?.["error"]).toContain(join(plane.releasesDir, "roots.pub"));
    expect(line?.["error"]).toContain("put the publisher's root public keys there");
  });

  test("that can be read, the same", async () => {
    await using plane = await startWith((releasesDir) => writeFile(join(releasesDir, "roots.pub"), "no key\n"));
    expect(logged(plane, "no release is imported")[0]?.["error"]).toContain("is no minisign public key");
  });

  test("in the usual place, they are read where the setting says", async () => {
    await using plane = await startControlPlane({}, undefined, { ROLLCALL_ROOT_KEYS: "/nowhere/roots.pub" });
    expect(logged(plane, "no release is imported")[0]?.["error"]).toContain("/nowhere/roots.pub");
  });
});

test("development keys are warned of at import and at every start", async () => {
  const keySet = signKeySet(roots[0], { sequence: 2n, development: true, signingKeys: [nameKey(signingKey)] });
  await using plane = await startWith((releasesDir) => writeTestRelease(releasesDir, release(3, { keySet })));
  const { releases } = await plane.fleet.listReleases({});
  expect(releases.map(({ development }) => development)).toEqual([true, true]);
  expect(logged(plane, "release signed with development keys").map(({ level }) => level)).toEqual(["warn", "warn"]);
  expect(
    logged(plane, "releases are signed with development keys: anybody can sign for hosts that take them"),
  ).toHaveLength(1);
});

test("a publisher whose root keys are exchanged begins a new row of key sets", async () => {
  const other = createTestPublisher("the next publisher");
  await using fleet = await ChildFleet.create();
  const server = fleet.addServer("data");
  await server.start();
  await server.kill();
  await writeTestRelease(fleet.releasesDir, release(3, { publisher: other }));
  await server.start();
  const { keys } = await fleet.database.db.selectFrom("key_sets").select("keys").executeTakeFirstOrThrow();
  expect(keys).toEqual(other.keySet.bytes);
  expect((await (await server.fleet()).listReleases({})).releases.map(({ keyId }) => keyId)).toEqual([
    other.signingKey.publicKey.keyId,
    signingKey.publicKey.keyId,
  ]);
  // Those of the former publisher are told of: hosts of the new one would not take them.
  expect(server.log).toContain("not imported");
  expect(await readFile(join(fleet.releasesDir, "roots.pub"), "utf8")).toBe(
    other.roots.map(({ publicKey }) => encodePublicKey(publicKey)).join(""),
  );
});

test("what a crash left half done is ended at the next start", async () => {
  const replica = "11111111-2222-4333-8444-555555555555";
  await using fleet = await ChildFleet.create();
  await mkdir(join(fleet.folder, "data"), { recursive: true });
  await writeFile(join(fleet.folder, "data", "replica-id"), `${replica}\n`);
  const server = fleet.addServer("data");
  await server.start();
  await server.kill();
  const at = (name: string) => join(fleet.releasesDir, name);
  // An upload that was not placed, also one of another server that may be at work on it.
  await mkdir(at(`.import-${replica}-x`));
  await mkdir(at(".import-99999999-2222-4333-8444-555555555555-x"));
  // A removal that was not committed, and one that was.
  await rename(at(NEW_VERSION), at(`.aside-${replica}-${NEW_VERSION}`));
  await mkdir(at(`.aside-${replica}-0.9.0`));
  await server.start();
  expect((await readdir(fleet.releasesDir)).sort()).toEqual([
    ".import-99999999-2222-4333-8444-555555555555-x",
    NEW_VERSION,
    "roots.pub",
  ]);
  expect(server.log).not.toContain("not imported");
});
