import { randomUUID } from "node:crypto";
import { readdir } from "node:fs/promises";
import { sql } from "kysely";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { Refusal_Reason } from "../../../gen/rollcall/v1/model_pb.js";
import { DEFAULT_DURATIONS } from "../../../server/domain/durations.ts";
import type { HostId, JobId } from "../../../server/domain/ids.ts";
import { lockDispatchFacts } from "../../../server/store/hosts.ts";
import { insertJobs } from "../../../server/store/jobs.ts";
import { findOpenSockets } from "../../agent/open-sockets.ts";
import { NEW_VERSION, OLD_VERSION, startControlPlane, type ControlPlane } from "../../support/control-plane.ts";
import { refusalOf } from "../../support/refusal-of.ts";
import { makeUpload, messagesOf } from "../../support/release-upload.ts";
import { ScriptedHost } from "../../support/scripted-host.ts";

afterAll(async () => expect(await findOpenSockets()).toEqual([]));

const ARTIFACT = Buffer.alloc(100_000, "three");
const THREE = { version: "3.0.0", sequence: 3, artifact: ARTIFACT };

let plane: ControlPlane;
beforeEach(async () => {
  plane = await startControlPlane();
  await upload(THREE);
});
afterEach(() => plane[Symbol.asyncDispose]());

async function upload(release: Parameters<typeof makeUpload>[0]): Promise<void> {
  await plane.fleet.importRelease(messagesOf(await makeUpload(release)));
}

const versions = async () => (await plane.fleet.listReleases({})).releases.map(({ version }) => version);
const folders = async () => (await readdir(plane.releasesDir)).sort();
const refusalFor = (version: string) => refusalOf(plane.fleet.removeRelease({ version }));

test("a release is removed with its files, and asked again it is answered alike", async () => {
  expect(await plane.fleet.removeRelease({ version: "3.0.0" })).toMatchObject({});
  expect(await versions()).toEqual([NEW_VERSION]);
  expect(await folders()).toEqual([NEW_VERSION, "roots.pub"]);
  await plane.fleet.removeRelease({ version: "3.0.0" });
  const { events } = await plane.fleet.listAuditEvents({ actionPrefix: "release.removed" });
  expect(events.map(({ actor, details }) => [actor, (JSON.parse(details) as { version: string }).version])).toEqual([
    ["admin-token", "3.0.0"],
  ]);
});

test("a release that nobody knows can't be removed, and no path is a version", async () => {
  expect(await refusalFor("9.9.9")).toMatchObject({ reason: Refusal_Reason.RELEASE_UNKNOWN });
  await expect(plane.fleet.removeRelease({ version: "../data" })).rejects.toThrow("version");
});

test("the version and the sequence of a removed release mean what they meant, for ever", async () => {
  await plane.fleet.removeRelease({ version: "3.0.0" });
  const others = [
    { ...THREE, artifact: Buffer.alloc(100_000, "other") },
    { ...THREE, sequence: 4 },
    { ...THREE, version: "3.0.1" },
    { ...THREE, platform: "linux-arm64" },
  ];
  for (const other of others)
    expect(await refusalOf(upload(other))).toMatchObject({ reason: Refusal_Reason.RELEASE_KNOWN });
  expect(await versions()).toEqual([NEW_VERSION]);
  await upload(THREE);
  expect(await versions()).toEqual(["3.0.0", NEW_VERSION]);
  await plane.fleet.removeRelease({ version: "3.0.0" });
  expect(await versions()).toEqual([NEW_VERSION]);
});

describe("a release that is needed stays, with its files", () => {
  const stays = async (version: string, sentence: RegExp) => {
    const before = await folders();
    const call = plane.fleet.removeRelease({ version });
    await expect(call).rejects.toThrow(sentence);
    expect(await refusalOf(call)).toMatchObject({ reason: Refusal_Reason.RELEASE_IN_USE, details: { version } });
    expect(await folders()).toEqual(before);
    expect(await versions()).toContain(version);
  };

  test("as the target version", async () => {
    await stays(NEW_VERSION, /2\.0\.0 is the target version\. Nothing was changed\./);
  });

  test("by an open job, until it has ended; hosts that run it are no reason", async () => {
    const host = await ScriptedHost.connect(plane, "a");
    const { job } = await plane.fleet.updateHost({ hostId: host.hostId });
    await host.commanded();
    await plane.fleet.setTargetVersion({ version: "3.0.0" });
    await stays(NEW_VERSION, /is needed by one running update/);
    await plane.fleet.cancelJob({ jobId: job?.id ?? "" });
    await host.hello({ agentVersion: NEW_VERSION });
    await plane.fleet.removeRelease({ version: NEW_VERSION });
    expect(await versions()).toEqual(["3.0.0"]);
    expect((await plane.fleet.getHost({ hostId: host.hostId })).host?.agentVersion).toBe(NEW_VERSION);
  });

  test("by a running fleet update", async () => {
    const hosts = [await ScriptedHost.connect(plane, "a"), await ScriptedHost.connect(plane, "b")];
    const { fleetUpdate } = await plane.fleet.startFleetUpdate({});
    await hosts[0]?.commanded();
    await plane.fleet.setTargetVersion({ version: "3.0.0" });
    await stays(NEW_VERSION, /is what a running fleet update brings hosts to/);
    await plane.fleet.cancelFleetUpdate({ fleetUpdateId: fleetUpdate?.id ?? "" });
    await expect.poll(() => refusalFor(NEW_VERSION)).toBeUndefined();
  });
});

test("a removal and a choice of it as target at one moment never both go through", async () => {
  for (let round = 0; round < 6; round += 1) {
    const version = `4.0.${round}`;
    await upload({ version, sequence: 10 + round, artifact: Buffer.alloc(2_000, round + 1) });
    const choice = refusalOf(plane.fleet.setTargetVersion({ version }));
    const [removal, chosen] = await Promise.all([refusalFor(version), choice]);
    expect([removal?.reason, chosen?.reason].filter((reason) => reason !== undefined)).toHaveLength(1);
    expect((await versions()).includes(version)).toBe(chosen === undefined);
    expect((await folders()).includes(version)).toBe(chosen === undefined);
  }
});

test("a removal waits for a job that is just being written, and then sees it", async () => {
  const host = await ScriptedHost.connect(plane, "a");
  const { db } = plane.database;
  const isWaiting = async () => {
    const { rows } = await sql`
      select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
    `.execute(db);
    return rows.length > 0;
  };
  const removal = await db.transaction().execute(async (tx) => {
    const hostId = host.hostId as HostId;
    const [facts] = await lockDispatchFacts(tx, [{ hostId, toVersion: "3.0.0" }]);
    const refused = refusalFor("3.0.0");
    await expect.poll(isWaiting).toBe(true);
    const job = {
      id: randomUUID() as JobId,
      hostId,
      package: "rollcall-agent",
      fromVersion: OLD_VERSION,
      toVersion: "3.0.0",
      manifestSha256: facts?.manifestSha256 ?? new Uint8Array(),
      artifactSha256: facts?.artifactSha256 ?? "",
      ignoreQuarantine: false,
      fleetUpdateId: null,
      requestedBy: "test",
    };
    await insertJobs(tx, [job], DEFAULT_DURATIONS);
    return { refused };
  });
  expect(await removal.refused).toMatchObject({ reason: Refusal_Reason.RELEASE_IN_USE });
  expect(await versions()).toContain("3.0.0");
});
