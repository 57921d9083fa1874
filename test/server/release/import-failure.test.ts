/** Imports and removals that fail at their last step, or for want of room: nothing is half done. */
import { readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import { sql } from "kysely";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { findOpenSockets } from "../../agent/open-sockets.ts";
import { NEW_VERSION, startControlPlane, type ControlPlane } from "../../support/control-plane.ts";
import { explainNoMounts, mountTmpfs } from "../../support/mounts.ts";
import { makeUpload, messagesOf, type ReleaseUpload } from "../../support/release-upload.ts";
import { TEST_PUBLISHER, writeTestRelease } from "../../support/test-release.ts";

afterAll(async () => expect(await findOpenSockets()).toEqual([]));

const noMounts = await explainNoMounts();
const THREE = { version: "3.0.0", sequence: 3, artifact: Buffer.alloc(3_000_000, "three") };

let plane: ControlPlane;
let good: ReleaseUpload;
beforeEach(async () => {
  plane = await startControlPlane();
  good = await makeUpload(THREE);
});
afterEach(() => plane[Symbol.asyncDispose]());

const upload = () => plane.fleet.importRelease(messagesOf(good));
const versions = async () => (await plane.fleet.listReleases({})).releases.map(({ version }) => version);
const files = async () => (await readdir(plane.releasesDir, { recursive: true })).sort();

/** Lets every transaction that changes a release fail when it is committed, after all that it did. */
async function failAtCommit(): Promise<() => Promise<void>> {
  const { ownerDb: db } = plane.database;
  await sql`create function refuse() returns trigger language plpgsql as $$ begin raise 'refused at commit'; end $$`.execute(
    db,
  );
  await sql`create constraint trigger refuse after insert or delete on releases
    deferrable initially deferred for each row execute function refuse()`.execute(db);
  return async () => void (await sql`drop trigger refuse on releases`.execute(db));
}

describe("when the transaction fails at its commit", () => {
  test("an upload is taken back, and what it replaced is where it was", async () => {
    // A folder that was never imported, which the upload replaces.
    await writeTestRelease(plane.releasesDir, { ...THREE, artifact: Buffer.from("by hand") });
    const before = await files();
    const repair = await failAtCommit();
    await expect(upload()).rejects.toThrow("Something went wrong in the server.");
    expect(await versions()).toEqual([NEW_VERSION]);
    expect(await files()).toEqual(before);
    await repair();
    await upload();
    expect(await versions()).toEqual(["3.0.0", NEW_VERSION]);
    expect(await files()).toEqual(before.filter((name) => !name.endsWith(".blocks") || name.startsWith(NEW_VERSION)));
  });

  test("a release that was to be removed is where it was", async () => {
    await upload();
    const before = await files();
    const repair = await failAtCommit();
    await expect(plane.fleet.removeRelease({ version: "3.0.0" })).rejects.toThrow("Something went wrong");
    expect(await versions()).toEqual(["3.0.0", NEW_VERSION]);
    expect(await files()).toEqual(before);
    await repair();
    await plane.fleet.removeRelease({ version: "3.0.0" });
    expect(await versions()).toEqual([NEW_VERSION]);
  });
});

describe.skipIf(noMounts !== undefined)(`when the disk has no room${noMounts ? ` (skipped: ${noMounts})` : ""}`, () => {
  /** The releases folder on a disk of its own. */
  const withDisk = async (size: string) => {
    const disk = await mountTmpfs(plane.releasesDir, `size=${size}`);
    await writeFile(join(plane.releasesDir, "roots.pub"), TEST_PUBLISHER.rootsFile);
    return disk;
  };
  const noRoom = async (call: Promise<unknown>) => {
    const error = await call.catch((reason: unknown) => ConnectError.from(reason));
    expect(error).toMatchObject({
      code: Code.Unavailable,
      rawMessage: "The disk of the releases folder has no room for it. Nothing was changed.",
    });
    expect(await versions()).toEqual([NEW_VERSION]);
  };

  test("an upload is refused before its first byte", async () => {
    await using _disk = await withDisk("60m");
    await noRoom(upload());
    expect(await files()).toEqual(["roots.pub"]);
  });

  test("any more, an upload ends and gives back what it took", async () => {
    await using _disk = await withDisk("80m");
    const filler = join(plane.releasesDir, "filler");
    const filling = async function* () {
      let sent = 0;
      for await (const message of messagesOf(good)) {
        if (sent === 5) await writeFile(filler, Buffer.alloc(100_000_000)).catch(() => undefined);
        yield message;
        sent += 1;
      }
    };
    await noRoom(plane.fleet.importRelease(filling()));
    await rm(filler);
    expect(await files()).toEqual(["roots.pub"]);
    await upload();
    expect(await versions()).toEqual(["3.0.0", NEW_VERSION]);
  });
});
