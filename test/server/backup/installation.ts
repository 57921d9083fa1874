/** An installation at rest: a database with something of every kind in it, and a data directory. */
import { randomUUID } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "kysely";
import { backUp } from "../../../server/backup/back-up.ts";
import type { BackupPlace } from "../../../server/backup/backup-file.ts";
import type { CheckedBackup } from "../../../server/backup/check-backup.ts";
import { restore, type Restored } from "../../../server/backup/restore.ts";
import { systemRandom } from "../../../server/clock-system.ts";
import { readConfig, type Config } from "../../../server/config.ts";
import { DEFAULT_DURATIONS } from "../../../server/domain/durations.ts";
import type { FleetUpdateId, HostId, JobId } from "../../../server/domain/ids.ts";
import type { JobState } from "../../../server/domain/job-state.ts";
import { loadAdminToken } from "../../../server/api/admin-token.ts";
import { loadCredentialKey, loadReplicaId } from "../../../server/secrets.ts";
import { createAuditSealStore } from "../../../server/store/audit-seals.ts";
import { writeAuditEvent } from "../../../server/store/audit-events.ts";
import { insertFleetUpdate } from "../../../server/store/fleet-updates.ts";
import { insertHost } from "../../../server/store/hosts.ts";
import { insertJobs, saveJobStates } from "../../../server/store/jobs.ts";
import { loadCertificates } from "../../../server/stream/certificate-files.ts";
import { addApiToken, addSession, addUser } from "../../support/account-fixture.ts";
import { realClock } from "../../support/real-clock.ts";
import { createTestDatabase, type TestDatabase } from "../../support/test-database.ts";

/** A data directory and a database, and what backs them up or restores into them. */
export interface Installation extends AsyncDisposable {
  readonly folder: string;
  readonly config: Config;
  readonly database: TestDatabase;
  backUp(place: BackupPlace): Promise<CheckedBackup>;
  restore(place: BackupPlace, isMove?: boolean): Promise<Restored>;
}

/** One that holds nothing: a database without tables and no data directory. */
export async function createEmptyInstallation(): Promise<Installation> {
  await using parts = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "rollcall-backup-"));
  parts.defer(() => rm(folder, { recursive: true, force: true }));
  const database = parts.use(await createTestDatabase());
  await sql`drop schema public cascade`.execute(database.ownerDb);
  await sql`create schema public`.execute(database.ownerDb);
  return installationOf(folder, database, parts.move());
}

/** One with keys and rows. */
export async function createInstallation(): Promise<Installation> {
  await using parts = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "rollcall-backup-"));
  parts.defer(() => rm(folder, { recursive: true, force: true }));
  const database = parts.use(await createTestDatabase());
  const installation = installationOf(folder, database, parts.move());
  const { dataDir, rootKeysPath, releasesDir } = installation.config;
  await mkdir(dataDir, { mode: 0o700 });
  await mkdir(releasesDir);
  await writeFile(rootKeysPath, "root keys\n");
  await loadCredentialKey(dataDir, systemRandom);
  await loadReplicaId(dataDir, systemRandom);
  await loadAdminToken(join(dataDir, "admin-token"), systemRandom, (path, text) =>
    writeFile(path, text, { mode: 0o600 }),
  );
  await loadCertificates({ dataDir, names: ["localhost"], clock: realClock, random: systemRandom });
  await addRows(database);
  return installation;
}

function installationOf(folder: string, database: TestDatabase, parts: AsyncDisposableStack): Installation {
  const config = readConfig([], {
    ROLLCALL_DATA_DIR: join(folder, "data"),
    ROLLCALL_RELEASES_DIR: join(folder, "releases"),
    ROLLCALL_DATABASE_URL: database.ownerUrl,
  });
  const { signal } = new AbortController();
  const settings = { ROLLCALL_PUBLIC_URL: "https://rollcall.example.org" };
  const means = { config, clock: realClock, signal };
  return {
    folder,
    config,
    database,
    backUp: (place) => backUp({ ...means, place, settings, version: "1.2.3", random: systemRandom }),
    restore: (place, isMove = false) => restore({ ...means, place, isMove }),
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

/** Texts that a format of lines, or of quotes, might trip over. */
const ODD_TEXT = 'a line\nand "another"\u2028\\ \\. \t\u{1f980} {"kind":1}\r';

async function addRows(database: TestDatabase): Promise<void> {
  const { db } = database;
  const hosts = Array.from({ length: 3 }, () => randomUUID() as HostId);
  for (const id of hosts) await insertHost(db, { id, hostname: `host-${id.slice(0, 4)}`, os: "linux", arch: "x64" });
  const [first, second, third] = hosts as [HostId, HostId, HostId];
  const halted = await addFleetUpdate(database, [first], null);
  await sql`
    update fleet_updates set state = 'halted', halt_reason = 'probe_failed', halted_host_id = ${first},
      ended_at = clock_timestamp() where id = ${halted}
  `.execute(db);
  const running = await addFleetUpdate(database, hosts, halted);
  await addJob(database, first, running, { name: "downloading", bytesDone: 5, bytesTotal: 10 });
  await addJob(database, second, running, { name: "restarting" });
  await addJob(database, third, null, { name: "failed", reason: "probe_failed", details: { detail: ODD_TEXT } });
  // More than are read at a time.
  await sql`
    insert into audit_events (actor, action, host_id, cause, details)
    select 'test', 'host.enrolled', ${first}, ${ODD_TEXT} || n, jsonb_build_object('n', n, 'text', ${ODD_TEXT}::text)
    from generate_series(1, 1300) as n
  `.execute(db);
  const seals = createAuditSealStore(db);
  await seals.seal((await seals.findBound())?.toId ?? 0n);
  await sql`
    insert into notification_channels (id, name, minimum_severity, target, secret, created_by)
    values (gen_random_uuid(), 'phone', 'info', '{"kind":"ntfy"}', 'secret', 'test')
  `.execute(db);
  await sql`
    insert into alerts (kind, severity, host_id, reason) values ('host_offline', 'warning', ${first}, ${ODD_TEXT})
  `.execute(db);
  await sql`
    insert into agent_sessions (host_id, replica_id, epoch, instance_id)
    select ${first}, 'r', nextval('session_epochs'), gen_random_uuid()
  `.execute(db);
  await sql`
    insert into enrollment_tokens (id, token_sha256, label, max_uses, created_by, expires_at)
    values (gen_random_uuid(), '\\x00ff0a5c', 'open', 1, 'test', clock_timestamp() + interval '1 hour')
  `.execute(db);
  const userId = await addUser(database, "ada", "admin");
  await addSession(database, userId);
  await addApiToken(database, "viewer", { creatorId: userId });
}

async function addFleetUpdate(
  { db }: TestDatabase,
  hostIds: readonly HostId[],
  retryOf: FleetUpdateId | null,
): Promise<FleetUpdateId> {
  const id = randomUUID() as FleetUpdateId;
  const hosts = hostIds.map((hostId) => ({ hostId, hostname: "h", fromVersion: "1" }));
  const policy = { maxInFlight: 1, maxFailures: 0, offline: "halt" } as const;
  const facts = {
    package: "rollcall-agent",
    toVersion: "2",
    policy,
    startedBy: "test",
    retryOf,
    labels: [{ key: "site", value: "lisbon" }],
    hosts,
  };
  await db.transaction().execute(async (tx) => {
    await insertFleetUpdate(tx, { id, ...facts });
    await writeAuditEvent(tx, { actor: "test", action: "fleet.update_started", fleetUpdateId: id, cause: "a test" });
  });
  return id;
}

async function addJob(
  { db }: TestDatabase,
  hostId: HostId,
  fleetUpdateId: FleetUpdateId | null,
  state: JobState,
): Promise<void> {
  const id = randomUUID() as JobId;
  const versions = { fromVersion: "1", toVersion: "2", manifestSha256: new Uint8Array(32), artifactSha256: "ab" };
  const facts = { package: "rollcall-agent", ignoreQuarantine: false, fleetUpdateId, requestedBy: "test" };
  await insertJobs(db, [{ id, hostId, ...versions, ...facts }], DEFAULT_DURATIONS);
  await db.transaction().execute((tx) => saveJobStates(tx, [{ id, state, isProgress: false }], 0));
  if (fleetUpdateId === null) return;
  await sql`
    update fleet_update_hosts set state = 'updating', job_id = ${id}
    where fleet_update_id = ${fleetUpdateId} and host_id = ${hostId}
  `.execute(db);
}
