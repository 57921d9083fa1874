/** An earlier server is replaced by today's, with work in its database that is not done. */
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { UpdateError } from "../../agent/updater/update-error.ts";
import { JobReason, JobState } from "../../gen/rollcall/v1/model_pb.js";
import { FleetUpdateState } from "../../gen/rollcall/v1/rollout_pb.js";
import { findOpenSockets } from "../agent/open-sockets.ts";
import { ChildFleet, type FleetDatabase } from "../support/child-fleet.ts";
import { NEW_VERSION, untilEnded } from "../support/control-plane.ts";
import { explainNoCommit, layOutFormerSources, type FormerSources } from "../support/former-sources.ts";
import { untilFleetUpdateSettled } from "../support/fleet-update-end.ts";
import { createTestDatabase } from "../support/test-database.ts";
import { writeTestRelease } from "../support/test-release.ts";
import { buildVersionElf } from "../support/tiny-elf.ts";

/** Its schema ends with migration 0008: no leases of replicas, no notifications, no labels. */
const FORMER_COMMIT = "4d62cc6";
const NEXT_VERSION = "3.0.0";
const TIMEOUT_MS = 90_000;
const reasonToSkip = await explainNoCommit(FORMER_COMMIT);

/** A database without a schema, and the rights to make one. */
async function createUnmigratedDatabase(): Promise<FleetDatabase> {
  const database = await createTestDatabase();
  await sql`drop schema public cascade`.execute(database.ownerDb);
  await sql`create schema public`.execute(database.ownerDb);
  const { ownerDb } = database;
  return { db: ownerDb, ownerDb, url: database.ownerUrl, [Symbol.asyncDispose]: () => database[Symbol.asyncDispose]() };
}

describe.skipIf(reasonToSkip !== undefined)(
  `the upgrade of a server${reasonToSkip === undefined ? "" : ` (skipped: ${reasonToSkip})`}`,
  () => {
    let former: FormerSources;
    beforeAll(async () => {
      former = await layOutFormerSources(FORMER_COMMIT);
    });
    afterAll(async () => {
      await former[Symbol.asyncDispose]();
      expect(await findOpenSockets()).toEqual([]);
    });

    test(
      "goes on with an open job and a halted fleet update, moves the target, and has no way back",
      async () => {
        await using fleet = await ChildFleet.create({}, createUnmigratedDatabase);
        const older = fleet.addServer("data", NEW_VERSION, former.folder);
        await older.start();
        const client = await older.fleet();
        const broken = await fleet.addHost(older, "a", {
          prepare: (platform) =>
            platform.before("preflight", () => {
              throw new UpdateError(JobReason.PREFLIGHT_READ_ONLY, { path: "/opt/rollcall" });
            }),
        });
        const { fleetUpdate } = await client.startFleetUpdate({ hostIds: [broken.hostId] });
        const fleetUpdateId = fleetUpdate?.id ?? "";
        await untilFleetUpdateSettled(client, fleetUpdateId);
        const probing = Promise.withResolvers<void>();
        const goOn = Promise.withResolvers<void>();
        const busy = await fleet.addHost(older, "b", {
          prepare: (platform) =>
            platform.before("probe", () => {
              probing.resolve();
              return goOn.promise;
            }),
        });
        const { job } = await client.updateHost({ hostId: busy.hostId });
        await probing.promise;
        await older.kill();

        const artifact = buildVersionElf(NEXT_VERSION, 50_000);
        await writeTestRelease(fleet.releasesDir, { version: NEXT_VERSION, sequence: 3, artifact });
        const newer = fleet.addServer("data", NEXT_VERSION);
        await newer.start({
          ROLLCALL_WEB_LISTEN: older.web.replace("http://", ""),
          ROLLCALL_AGENT_LISTEN: older.agents,
        });
        const next = await newer.fleet();
        goOn.resolve();
        expect(await untilEnded(next, job?.id ?? "")).toMatchObject({ state: JobState.SUCCEEDED });
        expect(busy.host).toMatchObject({ swaps: 1, version: NEW_VERSION });
        const { fleetUpdate: halted } = await next.getFleetUpdate({ fleetUpdateId });
        expect(halted).toMatchObject({ state: FleetUpdateState.HALTED, haltReason: "preflight_read_only" });
        const { alerts } = await next.listAlerts({});
        expect(alerts.filter(({ resolvedAt }) => resolvedAt === undefined)).toHaveLength(2);
        const { releases } = await next.listReleases({});
        expect(releases.filter(({ target }) => target).map(({ version }) => version)).toEqual([NEXT_VERSION]);
        expect((await next.listJobs({})).jobs).toHaveLength(2);
        await newer.kill();

        await expect(older.start()).rejects.toThrow(
          /The database was migrated by a newer server \(0009-replica-leases, .*Nothing was changed. Start that newer version/,
        );
        await newer.start();
        expect((await (await newer.fleet()).listReleases({})).releases.find(({ target }) => target)?.version).toBe(
          NEXT_VERSION,
        );
      },
      TIMEOUT_MS,
    );
  },
);
