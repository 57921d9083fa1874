import { randomUUID } from "node:crypto";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { status as Status } from "@grpc/grpc-js";
import { Refusal_Reason } from "../../../gen/rollcall/v1/model_pb.js";
import type { HostId } from "../../../server/domain/ids.ts";
import { insertHost } from "../../../server/store/hosts.ts";
import { listAdoption, recordAdoption } from "../../../server/store/version-adoption.ts";
import { findOpenSockets } from "../../agent/open-sockets.ts";
import { ChildFleet } from "../../support/child-fleet.ts";
import { NEW_VERSION, OLD_VERSION, startControlPlane, type ControlPlane } from "../../support/control-plane.ts";
import { refusalOf } from "../../support/refusal-of.ts";
import { ScriptedAgent, toCallEnd } from "../../support/scripted-agent.ts";
import { createTestDatabase } from "../../support/test-database.ts";
import { writeTestRelease } from "../../support/test-release.ts";
import { buildVersionElf } from "../../support/tiny-elf.ts";

afterAll(async () => expect(await findOpenSockets()).toEqual([]));

describe("releases", () => {
  test("are listed newest first, and a former one may be the target again until the server's own is followed", async () => {
    await using fleet = await ChildFleet.create();
    // The version that a former server brought along.
    await writeTestRelease(fleet.releasesDir, {
      version: OLD_VERSION,
      sequence: 1,
      artifact: buildVersionElf(OLD_VERSION, 50_000),
    });
    const server = fleet.addServer("data");
    await server.start();
    const client = await server.fleet();
    const { releases } = await client.listReleases({});
    expect(releases.map(({ version, sequence, target }) => [version, sequence, target])).toEqual([
      [NEW_VERSION, 2n, true],
      [OLD_VERSION, 1n, false],
    ]);
    expect(releases[1]?.artifacts).toMatchObject([{ platform: "linux-x64", sizeBytes: 50_000n, quarantined: false }]);

    const { hostId, host } = await fleet.addHost(server, "a", { version: NEW_VERSION });
    const isBehind = async () => (await client.getHost({ hostId })).host?.updateAvailable;
    expect(await isBehind()).toBe(false);
    const back = await client.setTargetVersion({ version: OLD_VERSION });
    expect(back.release).toMatchObject({ version: OLD_VERSION, target: true });
    expect(await isBehind()).toBe(true);
    // Nobody is updated by it.
    expect((await client.listJobs({})).jobs).toEqual([]);
    expect(host.swaps).toBe(0);

    // What an admin chose outlives the server.
    await server.kill();
    await server.start();
    const again = await server.fleet();
    expect((await again.listReleases({})).releases.map(({ target }) => target)).toEqual([false, true]);
    const followed = await again.setTargetVersion({ version: "" });
    expect(followed.release).toMatchObject({ version: NEW_VERSION, target: true });
    const { events } = await again.listAuditEvents({ actionPrefix: "release.target_changed" });
    expect(events.map(({ actor, details }) => [actor, (JSON.parse(details) as { version: string }).version])).toEqual([
      ["admin-token", NEW_VERSION],
      ["admin-token", OLD_VERSION],
      ["rollcall", NEW_VERSION],
    ]);
    // It follows the server again: no choice is left to stand in the way of the next version.
    const { chosen_by } = await fleet.database.db
      .selectFrom("target_versions")
      .select("chosen_by")
      .executeTakeFirstOrThrow();
    expect(chosen_by).toBeNull();
  });
});

describe("with one server", () => {
  let plane: ControlPlane;
  beforeAll(async () => {
    plane = await startControlPlane();
  });
  afterAll(() => plane[Symbol.asyncDispose]());

  test("a target that is no release is refused, and nothing was changed", async () => {
    const call = plane.fleet.setTargetVersion({ version: "9.9.9" });
    expect(await refusalOf(call)).toMatchObject({
      reason: Refusal_Reason.RELEASE_UNKNOWN,
      details: { version: "9.9.9" },
    });
    const { releases } = await plane.fleet.listReleases({});
    expect(releases.map(({ version, target }) => [version, target])).toEqual([[NEW_VERSION, true]]);
    await expect(plane.fleet.setTargetVersion({ version: "../9" })).rejects.toThrow(/version/);
  });

  test("who watches starts over with a fresh snapshot when the target changes", async () => {
    const leaving = new AbortController();
    const snapshots: boolean[] = [];
    let sequence = -1n;
    for await (const message of plane.fleet.watchFleet({}, { signal: leaving.signal })) {
      expect(message.sequence).toBeGreaterThanOrEqual(sequence);
      sequence = message.sequence;
      if (message.change.case === "snapshot") snapshots.push(message.change.value.first);
      if (message.change.case !== "caughtUp") continue;
      if (snapshots.length > 1) break;
      await plane.fleet.setTargetVersion({ version: NEW_VERSION });
    }
    leaving.abort();
    expect(snapshots).toEqual([true, true]);
  });

  describe("an enrolment token", () => {
    const enrolWith = async (token: string) => {
      using agent = new ScriptedAgent({ address: plane.agents, caPem: plane.caPem });
      return await agent.enroll({ token, hostname: "host", os: "linux", arch: "x64" }).then(
        () => undefined,
        (error: Parameters<typeof toCallEnd>[0]) => toCallEnd(error),
      );
    };
    const tokenOf = async (id: string) =>
      (await plane.fleet.listEnrollmentTokens({})).tokens.find((token) => token.id === id);
    const refused = { code: Status.UNAUTHENTICATED, refusal: { reason: Refusal_Reason.TOKEN_INVALID } };

    test("is used up after as many hosts as it was made for", async () => {
      const { token, tokenId } = await plane.fleet.createEnrollmentToken({ label: "rack 7", maxUses: 2 });
      expect(await tokenOf(tokenId)).toMatchObject({
        label: "rack 7",
        maxUses: 2,
        uses: 0,
        createdBy: "admin-token",
      });
      expect([await enrolWith(token), await enrolWith(token)]).toEqual([undefined, undefined]);
      expect(await enrolWith(token)).toMatchObject(refused);
      expect(await tokenOf(tokenId)).toMatchObject({ uses: 2 });
    });

    test("that many hosts use at one moment lets in no more than it was made for", async () => {
      const { token, tokenId } = await plane.fleet.createEnrollmentToken({ maxUses: 3 });
      const ends = await Promise.all(Array.from({ length: 8 }, () => enrolWith(token)));
      expect(ends.filter((end) => end === undefined)).toHaveLength(3);
      expect(await tokenOf(tokenId)).toMatchObject({ uses: 3 });
    });

    test("lasts an hour unless it says otherwise, and is refused once it expired", async () => {
      const usual = await plane.fleet.createEnrollmentToken({});
      const listed = await tokenOf(usual.tokenId);
      const [createdAt, expiresAt] = [listed?.createdAt, listed?.expiresAt].map((at) => at && timestampDate(at));
      expect((expiresAt?.getTime() ?? 0) - (createdAt?.getTime() ?? 0)).toBeCloseTo(3_600_000, -2);
      await plane.database.db
        .updateTable("enrollment_tokens")
        .set({ expires_at: sql<Date>`clock_timestamp()` })
        .where("id", "=", usual.tokenId)
        .execute();
      expect(await enrolWith(usual.token)).toMatchObject(refused);
      expect(await tokenOf(usual.tokenId)).toMatchObject({ uses: 0 });
    });

    test("is refused once it is revoked, while the host that used it stays", async () => {
      const { token, tokenId } = await plane.fleet.createEnrollmentToken({ label: "leaked", maxUses: 10 });
      using agent = new ScriptedAgent({ address: plane.agents, caPem: plane.caPem });
      const { hostId, credential } = await agent.enroll({ token, hostname: "stays", os: "linux", arch: "x64" });
      const revoked = await plane.fleet.revokeEnrollmentToken({ tokenId });
      expect(revoked.token?.revokedAt).toBeDefined();
      expect(await enrolWith(token)).toMatchObject(refused);
      agent.credential = credential;
      await agent.hello();
      expect((await plane.fleet.getHost({ hostId })).host?.hostname).toBe("host-1");
      // Asked again, answered alike.
      expect((await plane.fleet.revokeEnrollmentToken({ tokenId })).token).toEqual(revoked.token);
      const { events } = await plane.fleet.listAuditEvents({ actionPrefix: "token." });
      expect(events[0]).toMatchObject({ action: "token.revoked", actor: "admin-token" });
    });

    test("that nobody knows can't be revoked", async () => {
      const call = plane.fleet.revokeEnrollmentToken({ tokenId: randomUUID() });
      expect((await refusalOf(call))?.reason).toBe(Refusal_Reason.TOKEN_UNKNOWN);
    });

    test("is told once and kept as a hash only", async () => {
      const { token, tokenId } = await plane.fleet.createEnrollmentToken({ label: "secret" });
      expect(token).toMatch(/^rc_enroll_[A-Za-z0-9_-]{43}$/);
      const { rows } = await sql<{ row: string }>`
        select to_jsonb(t)::text as row from enrollment_tokens as t
        union all select to_jsonb(e)::text from audit_events as e
      `.execute(plane.database.db);
      const hex = Buffer.from(token).toString("hex");
      expect(rows.some(({ row }) => row.includes(tokenId))).toBe(true);
      expect(rows.filter(({ row }) => row.includes(token) || row.includes(hex))).toEqual([]);
      expect(JSON.stringify(await tokenOf(tokenId), (_, value: unknown) => String(value))).not.toContain(token);
    });
  });
});

describe("version adoption", () => {
  /** Days are counted back from today, as the database has it. */
  const dayBack = (days: number) => sql<string>`(clock_timestamp() at time zone 'UTC')::date - ${days}::integer`;

  test("is noted by a server that starts, and told from the oldest day to today", async () => {
    await using fleet = await ChildFleet.create({ tickIntervalMs: 100 });
    const server = fleet.addServer("data");
    await server.start();
    await fleet.addHost(server, "a");
    await fleet.addHost(server, "b");
    await fleet.addHost(server, "c", { version: NEW_VERSION });
    await server.kill();
    // Whatever the first start noted while the hosts came.
    await fleet.database.db.deleteFrom("version_adoption").execute();
    const note = { package: "rollcall-agent", version: OLD_VERSION };
    await fleet.database.db
      .insertInto("version_adoption")
      .values([
        { ...note, day: dayBack(1), hosts: 7 },
        { ...note, day: dayBack(40), hosts: 9 },
      ])
      .execute();
    await server.start();
    const client = await server.fleet();
    const noted = async (days: number) =>
      (await client.listVersionAdoption({ days })).days.map(({ version, hosts }) => `${version} ${hosts}`);
    const today = [`${OLD_VERSION} 2`, `${NEW_VERSION} 1`];
    await vi.waitUntil(async () => (await noted(1)).length > 0);
    expect(await noted(1)).toEqual(today);
    // Thirty days unless it says otherwise.
    expect(await noted(0)).toEqual([`${OLD_VERSION} 7`, ...today]);
    expect(await noted(400)).toEqual([`${OLD_VERSION} 9`, `${OLD_VERSION} 7`, ...today]);
    const { days } = await client.listVersionAdoption({ days: 1 });
    expect(days[0]?.day).toMatch(/^\d{4}-\d{2}-\d{2}$/);
  });

  test("of a day is the last note of it: a version that nobody runs any more is run by none", async () => {
    await using database = await createTestDatabase();
    const { db } = database;
    const noted = async () => (await listAdoption(db, 1)).map(({ version, hosts }) => `${version} ${hosts}`);
    for (const hostname of ["a", "b"]) {
      const id = randomUUID() as HostId;
      await insertHost(db, { id, hostname, os: "linux", arch: "x64" });
    }
    await recordAdoption(db);
    // Nobody came yet.
    expect(await noted()).toEqual([]);
    await db.updateTable("hosts").set({ agent_version: OLD_VERSION }).execute();
    await recordAdoption(db);
    expect(await noted()).toEqual([`${OLD_VERSION} 2`]);
    await db.updateTable("hosts").set({ agent_version: NEW_VERSION }).where("hostname", "=", "a").execute();
    await recordAdoption(db);
    expect(await noted()).toEqual([`${OLD_VERSION} 1`, `${NEW_VERSION} 1`]);
    await db
      .updateTable("hosts")
      .set({ removed_at: sql<Date>`clock_timestamp()` })
      .where("hostname", "=", "b")
      .execute();
    await recordAdoption(db);
    expect(await noted()).toEqual([`${OLD_VERSION} 0`, `${NEW_VERSION} 1`]);
  });
});
