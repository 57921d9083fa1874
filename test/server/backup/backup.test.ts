/** What a backup brings back, what it does not, and what is refused before anything changes. */
import { mkdir, open, readdir, readFile, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { sql } from "kysely";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { writeBackup } from "../../../server/backup/backup-file.ts";
import { checkBackup } from "../../../server/backup/check-backup.ts";
import { restore } from "../../../server/backup/restore.ts";
import { prepareDataFolder } from "../../../server/backup/restored-folder.ts";
import { systemRandom } from "../../../server/clock-system.ts";
import { createAuditSealStore } from "../../../server/store/audit-seals.ts";
import { migrate } from "../../../server/store/migrate.ts";
import { openDatabase, SERVER_APPLICATION } from "../../../server/store/open-database.ts";
import { migrations } from "../../../server/store/migrations/all.ts";
import { findOpenSockets } from "../../agent/open-sockets.ts";
import { realClock } from "../../support/real-clock.ts";
import { digestTables } from "../../support/table-digests.ts";
import type { TestDatabase } from "../../support/test-database.ts";
import { createEmptyInstallation, createInstallation, type Installation } from "./installation.ts";

let source: Installation;
let target: Installation;
let plain: string;
beforeAll(async () => {
  source = await createInstallation();
  plain = join(source.folder, "plain");
  await source.backUp({ path: plain, passphrase: undefined });
});
beforeEach(async () => {
  target = await createEmptyInstallation();
});
afterEach(() => target[Symbol.asyncDispose]());
afterAll(async () => {
  await source[Symbol.asyncDispose]();
  expect(await findOpenSockets()).toEqual([]);
});

/** Each try of a passphrase is meant to cost. */
const SLOW_MS = 120_000;
/** Written by the restore itself. */
const OWN_TABLES = ["audit_events", "kysely_migration"];

async function digestsOf(database: TestDatabase, without: readonly string[] = OWN_TABLES) {
  const digests = Object.entries(await digestTables(database)).filter(([name]) => !without.includes(name));
  return Object.fromEntries(digests);
}

/** Everything that the catalogue says of tables, and may say differently of a schema that was loaded. */
async function rulesOf({ ownerDb }: TestDatabase): Promise<readonly unknown[]> {
  const { rows } = await sql<{ rule: string }>`
    select conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) as rule from pg_constraint
    where connamespace = 'public'::regnamespace
    union all select tgrelid::regclass || ' ' || tgname || ' ' || tgenabled::text from pg_trigger where not tgisinternal
    union all select sequencename || ' ' || last_value from pg_sequences
      where sequencename <> 'audit_events_id_seq' and last_value is not null
    union all select relname || ' ' || relacl::text from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'
    order by 1
  `.execute(ownerDb);
  return rows.map(({ rule }) => rule);
}

async function expectNothingAt({ config, database }: Installation): Promise<void> {
  expect(await readdir(config.dataDir).catch(() => [])).toEqual([]);
  expect(await digestTables(database)).toEqual({});
}

async function statesOf({ db }: TestDatabase, table: string): Promise<readonly string[]> {
  const { rows } = await sql<{ state: string }>`select state from ${sql.table(table)} order by 1`.execute(db);
  return rows.map(({ state }) => state);
}

async function countOf({ db }: TestDatabase, table: string): Promise<number> {
  const { rows } = await sql<{ count: bigint }>`select count(*) from ${sql.table(table)}`.execute(db);
  return Number(rows[0]?.count);
}

describe("a move", () => {
  test("brings every row, key, rule and sequence to the new place", async () => {
    const { rows, files, settled } = await target.restore({ path: plain, passphrase: undefined }, true);
    expect(rows).toBeGreaterThan(1_300);
    expect(files).toBe(7);
    expect(settled).toBeUndefined();
    expect(await digestsOf(target.database)).toEqual(await digestsOf(source.database));
    expect(await rulesOf(target.database)).toEqual(await rulesOf(source.database));
    for (const name of ["credential.key", "admin-token", "replica-id", "tls/ca.key", "tls/ca.crt", "tls/server.pem"]) {
      const [before, after] = [join(source.config.dataDir, name), join(target.config.dataDir, name)];
      expect(await readFile(after)).toEqual(await readFile(before));
      expect((await stat(after)).mode).toBe((await stat(before)).mode);
    }
    expect(await readFile(target.config.rootKeysPath, "utf8")).toBe("root keys\n");
    expect(await readFile(join(target.config.dataDir, "restored-settings.env"), "utf8")).toBe(
      'ROLLCALL_PUBLIC_URL="https://rollcall.example.org"\n',
    );
    await prepareDataFolder(target.config.dataDir);
  });

  test("keeps the audit log whole, unchangeable, and goes on with it", async () => {
    await target.restore({ path: plain, passphrase: undefined }, true);
    const { db, ownerDb } = target.database;
    const [newest] = await db.selectFrom("audit_events").selectAll().orderBy("id", "desc").limit(1).execute();
    expect(newest).toMatchObject({ action: "server.restored", actor: "rollcall" });
    expect(Number(newest?.id)).toBe((await countOf(source.database, "audit_events")) + 1);
    const seals = createAuditSealStore(db);
    expect((await seals.check()).broken).toBeUndefined();
    await seals.seal(newest?.id ?? 0n);
    expect((await seals.check()).head?.toId).toBe(newest?.id);
    await expect(sql`update audit_events set actor = 'eve'`.execute(ownerDb)).rejects.toMatchObject({ code: "42501" });
  });

  test("is refused from a backup that was taken while a server ran", async () => {
    const { connection } = source.database;
    const served = openDatabase({ connection, applicationName: SERVER_APPLICATION, poolSize: 1 });
    const path = join(target.folder, "served");
    try {
      await sql`select 1`.execute(served);
      expect((await source.backUp({ path, passphrase: undefined })).manifest.wasServed).toBe(true);
    } finally {
      await served.destroy();
    }
    await expect(target.restore({ path, passphrase: undefined }, true)).rejects.toThrow(/taken while a server ran/);
    await expectNothingAt(target);
    await target.restore({ path, passphrase: undefined });
  });
});

describe("a backup of an earlier day", () => {
  test("has nothing left that would act by itself or let somebody in", async () => {
    const { settled } = await target.restore({ path: plain, passphrase: undefined });
    expect(settled).toEqual({ cancelledJobs: 1, cancelledFleetUpdates: 1 });
    const { database } = target;
    expect(await statesOf(database, "jobs")).toEqual(["cancelled", "failed", "restarting"]);
    expect(await statesOf(database, "fleet_updates")).toEqual(["cancelled", "halted"]);
    expect(await countOf(source.database, "notifications")).toBe(1);
    for (const table of ["notifications", "user_sessions", "setup_links"])
      expect(await countOf(database, table)).toBe(0);
    const tokens = await database.db.selectFrom("enrollment_tokens").select("revoked_at").execute();
    expect(tokens).toEqual([{ revoked_at: expect.any(Date) as Date }]);
    const audit = await database.db.selectFrom("audit_events").selectAll().orderBy("id", "desc").limit(3).execute();
    expect(audit.map(({ action }) => action)).toEqual([
      "server.restored",
      "host.update_cancelled",
      "fleet.update_cancelled",
    ]);
    expect(audit[0]?.details).toMatchObject({ cancelled_jobs: 1, cancelled_fleet_updates: 1 });
  });

  test("is brought to the schema of today", async () => {
    const old = await createEmptyInstallation();
    await migrate(old.database.ownerDb, Object.fromEntries(Object.entries(migrations).slice(0, 6)));
    await sql`
      insert into hosts (id, hostname, os, arch) values (gen_random_uuid(), 'of-old', 'linux', 'x64')
    `.execute(old.database.ownerDb);
    const path = join(target.folder, "old");
    await old.backUp({ path, passphrase: undefined });
    await old[Symbol.asyncDispose]();
    await target.restore({ path, passphrase: undefined });
    expect(await countOf(target.database, "hosts")).toBe(1);
    const { rows } = await sql<{ name: string }>`select name from kysely_migration order by 1`.execute(
      target.database.ownerDb,
    );
    expect(rows.map(({ name }) => name)).toEqual(Object.keys(migrations));
  });
});

describe("a file", () => {
  test("is for its owner alone, and another of its name stays", async () => {
    expect((await stat(plain)).mode & 0o777).toBe(0o600);
    await expect(source.backUp({ path: plain, passphrase: undefined })).rejects.toThrow(/is there already/);
    expect((await checkBackup({ path: plain, passphrase: undefined })).manifest.serverVersion).toBe("1.2.3");
  });

  test("that is damaged or cut anywhere is refused before anything changes", async () => {
    const { size } = await stat(plain);
    const path = join(target.folder, "damaged");
    const bytes = await readFile(plain);
    for (let tried = 0; tried < 40; tried += 1) {
      const position = Math.floor((tried * size) / 40);
      await writeFile(path, bytes);
      await using file = await open(path, "r+");
      await file.write(Buffer.of((bytes[position] ?? 0) ^ 0x10), 0, 1, position);
      await expect(target.restore({ path, passphrase: undefined }), `byte ${position}`).rejects.toThrow(
        /damaged|no backup|of format/,
      );
      await writeFile(path, bytes);
      await truncate(path, position);
      await expect(target.restore({ path, passphrase: undefined }), `cut at ${position}`).rejects.toThrow(
        /damaged|no backup/,
      );
    }
    await writeFile(path, Buffer.concat([bytes, Buffer.alloc(1)]));
    await expect(target.restore({ path, passphrase: undefined })).rejects.toThrow(/damaged/);
    await expectNothingAt(target);
  });

  test(
    "that is encrypted opens with its passphrase and no other, and tells nothing",
    async () => {
      const path = join(target.folder, "encrypted");
      await source.backUp({ path, passphrase: "correct horse" });
      const [bytes, key] = [
        await readFile(path),
        await readFile(join(source.config.dataDir, "credential.key"), "utf8"),
      ];
      expect(bytes.includes(key.trim())).toBe(false);
      await expect(target.restore({ path, passphrase: undefined })).rejects.toThrow(/is encrypted/);
      await expect(target.restore({ path, passphrase: "correct h0rse" })).rejects.toThrow(/its passphrase is another/);
      await expectNothingAt(target);
      await target.restore({ path, passphrase: "correct horse" }, true);
      expect(await digestsOf(target.database)).toEqual(await digestsOf(source.database));
    },
    SLOW_MS,
  );

  test("of a newer server is refused", async () => {
    const path = join(target.folder, "newer");
    const names = [...Object.keys(migrations), "9999-future"];
    const manifest = { takenAt: "", serverVersion: "9.9.9", migrations: names, wasServed: false, settings: {} };
    const { signal } = new AbortController();
    await writeBackup(
      { path, passphrase: undefined },
      (async function* () {
        yield { kind: "manifest", manifest } as const;
        yield { kind: "end", end: { rows: 0 } } as const;
      })(),
      { random: systemRandom, signal, check: async () => undefined },
    );
    await expect(target.restore({ path, passphrase: undefined })).rejects.toThrow(
      /taken by a newer server, 9\.9\.9, .*9999-future/,
    );
    await expectNothingAt(target);
  });
});

describe("a place", () => {
  test("that holds something is refused and left as it was", async () => {
    await mkdir(target.config.dataDir);
    await writeFile(join(target.config.dataDir, "admin-token"), "mine");
    await expect(target.restore({ path: plain, passphrase: undefined })).rejects.toThrow(/is not empty.*admin-token/);
    expect(await readdir(target.config.dataDir)).toEqual(["admin-token"]);
    const before = await digestTables(source.database);
    const onto = { ...target.config, dataDir: join(target.folder, "other"), databaseUrl: source.database.ownerUrl };
    const place = { path: plain, passphrase: undefined };
    const { signal } = new AbortController();
    await expect(restore({ place, config: onto, isMove: false, clock: realClock, signal })).rejects.toThrow(
      /The database is not empty/,
    );
    expect(await digestTables(source.database)).toEqual(before);
    expect(await readdir(target.folder)).not.toContain("other");
  });

  test("whose restore was cut short starts no server, and takes the next one", async () => {
    const { dataDir } = target.config;
    await mkdir(dataDir);
    await writeFile(join(dataDir, "restoring"), "");
    await writeFile(join(dataDir, "credential.key"), "half");
    await expect(prepareDataFolder(dataDir)).rejects.toThrow(/its restore was cut short. No server was started/);
    await target.restore({ path: plain, passphrase: undefined });
    await prepareDataFolder(dataDir);
  });

  test("is as before when rows do not fit together", async () => {
    const broken = await createInstallation();
    const { ownerDb } = broken.database;
    await sql`alter table jobs drop constraint jobs_host_id_fkey`.execute(ownerDb);
    await sql`update jobs set host_id = gen_random_uuid() where state = 'failed'`.execute(ownerDb);
    const path = join(target.folder, "broken");
    await broken.backUp({ path, passphrase: undefined });
    await broken[Symbol.asyncDispose]();
    await expect(target.restore({ path, passphrase: undefined })).rejects.toMatchObject({ code: "23503" });
    await expectNothingAt(target);
  });
});
