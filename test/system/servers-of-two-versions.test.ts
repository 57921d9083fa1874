/** Two servers of one database while they are upgraded one after the other. */
import { afterAll, expect, test } from "vitest";
import { findOpenSockets } from "../agent/open-sockets.ts";
import { ChildFleet } from "../support/child-fleet.ts";
import { NEW_VERSION, OLD_VERSION } from "../support/control-plane.ts";
import { makeUpload, messagesOf } from "../support/release-upload.ts";
import type { ServerChild } from "../support/server-child.ts";
import { writeTestRelease } from "../support/test-release.ts";
import { buildVersionElf } from "../support/tiny-elf.ts";
import { watchUntil } from "../support/watch-until.ts";

const NEXT_VERSION = "3.0.0";
const TIMEOUT_MS = 90_000;

afterAll(async () => expect(await findOpenSockets()).toEqual([]));

/** The target as a server tells it. */
async function targetOf(server: ServerChild): Promise<string | undefined> {
  const { releases } = await (await server.fleet()).listReleases({});
  return releases.find(({ target }) => target)?.version;
}

test(
  "show one target, which follows the newer once its release is there, and never goes back by itself",
  async () => {
    await using fleet = await ChildFleet.create();
    await writeTestRelease(fleet.releasesDir, {
      version: OLD_VERSION,
      sequence: 1,
      artifact: buildVersionElf(OLD_VERSION, 50_000),
    });
    const older = fleet.addServer("older");
    await older.start();
    const { hostId } = await fleet.addHost(older, "a", { version: NEW_VERSION });
    const newer = await fleet.addReplica("newer", "older", NEXT_VERSION);
    const isBehind = async (server: ServerChild) =>
      (await (await server.fleet()).getHost({ hostId })).host?.updateAvailable;
    for (const server of [older, newer]) {
      // Nobody is behind what can't be delivered.
      expect(await targetOf(server)).toBe(NEW_VERSION);
      expect(await isBehind(server)).toBe(false);
    }

    const artifact = buildVersionElf(NEXT_VERSION, 50_000);
    const upload = await makeUpload({ version: NEXT_VERSION, sequence: 3, artifact });
    // Brought to the one that does not wait for it.
    await (await older.fleet()).importRelease(messagesOf(upload));
    for (const server of [older, newer]) {
      const followed = async () => ((await isBehind(server)) === true ? true : undefined);
      await watchUntil(await server.fleet(), followed);
      expect(await targetOf(server)).toBe(NEXT_VERSION);
    }

    const oldest = await fleet.addReplica("oldest", "older", OLD_VERSION);
    await older.kill();
    await older.start();
    for (const server of [older, newer, oldest]) expect(await targetOf(server)).toBe(NEXT_VERSION);
    expect(older.log).toContain("the target stays: it is newer than this server");
    const { events } = await (await newer.fleet()).listAuditEvents({ actionPrefix: "release.target_changed" });
    expect(events).toHaveLength(2);
  },
  TIMEOUT_MS,
);
