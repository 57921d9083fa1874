/**
 * The chain of seals over the audit log.
 *
 * A range of ids may be sealed once nobody can add to it any more. An id is taken by a
 * transaction that holds a lock on the table until it ends; so whoever may still add an
 * id below one that was seen is among those who hold that lock afterwards. Once they
 * are gone the range is complete, and nobody was kept waiting for that.
 *
 * *Source*: PostgreSQL, "Explicit Locking" (ROW EXCLUSIVE) and "pg_locks".
 */
import { sql, type Kysely, type RawBuilder, type Transaction } from "kysely";
import type { AuditCheck, AuditSeal } from "../domain/audit-seal.ts";
import { answered } from "./away.ts";
import type { Db } from "./schema.ts";

/** Events that one seal covers at most, so that each is soon made and soon checked. */
const MOST_IDS = 5_000n;
const SEALS_AT_ONCE = 100;
/** Names of advisory locks are numbers; this one is nobody else's in this database. */
const SEALS_LOCK = 7_170_002;

interface SealRow {
  readonly from_id: bigint;
  readonly to_id: bigint;
  readonly digest: Buffer;
  readonly sealed_at: Date;
}

/** Binds the questions about seals. */
export function createAuditSealStore(db: Kysely<Db>) {
  return {
    findBound: () => answered(findBound(db)),
    hasEnded: async (writers: readonly string[]) => {
      const left = new Set(await answered(listWriters(db)));
      return writers.every((writer) => !left.has(writer));
    },
    seal: (toId: bigint) => answered(seal(db, toId)),
    check: () => answered(check(db)),
    hasSeal: (digest: string) => answered(hasSeal(db, digest)),
  };
}

/** *Shape*: `undefined` for a log without events. */
async function findBound(
  db: Kysely<Db>,
): Promise<{ readonly toId: bigint; readonly writers: readonly string[] } | undefined> {
  const newest = await db.selectFrom("audit_events").select("id").orderBy("id", "desc").limit(1).executeTakeFirst();
  // In this order: whoever took a lesser id before had the lock by then.
  return newest && { toId: newest.id, writers: await listWriters(db) };
}

async function listWriters(db: Kysely<Db>): Promise<readonly string[]> {
  const { rows } = await sql<{ writer: string }>`
    select distinct virtualtransaction as writer from pg_locks
    where locktype = 'relation' and relation = 'audit_events'::regclass and mode = 'RowExclusiveLock'
      and database = (select oid from pg_database where datname = current_database())
  `.execute(db);
  return rows.map(({ writer }) => writer);
}

async function findHead(db: Kysely<Db> | Transaction<Db>): Promise<AuditSeal | undefined> {
  const { rows } = await sql<SealRow>`
    select from_id, to_id, digest, sealed_at from audit_seals order by to_id desc limit 1
  `.execute(db);
  return rows[0] && toSeal(rows[0]);
}

async function hasSeal(db: Kysely<Db>, digest: string): Promise<boolean> {
  const found = await db
    .selectFrom("audit_seals")
    .select("id")
    .where("digest", "=", Buffer.from(digest, "hex"))
    .executeTakeFirst();
  return found !== undefined;
}

/** Seals what is not sealed yet, up to an id. The newest seal then. */
async function seal(db: Kysely<Db>, toId: bigint): Promise<AuditSeal | undefined> {
  for (;;) {
    const head = await db.transaction().execute(async (tx) => {
      await sql`select pg_advisory_xact_lock(${SEALS_LOCK})`.execute(tx);
      const last = await findHead(tx);
      const fromId = (last?.toId ?? 0n) + 1n;
      if (fromId > toId) return last;
      const upTo = fromId + MOST_IDS - 1n < toId ? fromId + MOST_IDS - 1n : toId;
      const before = Buffer.from(last?.digest ?? "", "hex");
      const { rows } = await sql<SealRow>`
        insert into audit_seals (from_id, to_id, digest)
        values (${fromId}, ${upTo}, sha256(${before}::bytea || ${digestOfEvents(sql`${fromId}::bigint`, sql`${upTo}::bigint`)}))
        returning from_id, to_id, digest, sealed_at
      `.execute(tx);
      return rows[0] && toSeal(rows[0]);
    });
    if (head === undefined || head.toId >= toId) return head;
  }
}

/** The digests of the events of a range, one after another. What is below the first id counts as part of the first range. */
function digestOfEvents(fromId: RawBuilder<unknown>, toId: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`(
    select coalesce(string_agg(sha256(convert_to(jsonb_build_array(
      e.id, to_char(e.at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'), e.actor, e.action, e.host_id, e.job_id,
      e.fleet_update_id, e.cause, e.details)::text, 'UTF8')), ''::bytea order by e.id), ''::bytea)
    from audit_events e where (e.id >= ${fromId} or ${fromId} = 1) and e.id <= ${toId}
  )`;
}

/** Compares every seal with its events and with the seal before it, the oldest first, until one does not fit. */
async function check(db: Kysely<Db>): Promise<AuditCheck> {
  let toId = 0n;
  let digest: Buffer = Buffer.alloc(0);
  for (;;) {
    const { rows } = await sql<SealRow & { readonly fits: boolean }>`
      with next as (
        select * from audit_seals where to_id > ${toId} order by to_id limit ${SEALS_AT_ONCE}
      )
      select from_id, to_id, digest, sealed_at,
        from_id = lag(to_id, 1, ${toId}::bigint) over (order by to_id) + 1
        and digest = sha256(
          lag(digest, 1, ${digest}::bytea) over (order by to_id) || ${digestOfEvents(sql`next.from_id`, sql`next.to_id`)}
        ) as fits
      from next order by to_id
    `.execute(db);
    const broken = rows.find(({ fits }) => !fits);
    const last = rows.at(-1);
    if (broken !== undefined || last === undefined)
      return { head: await findHead(db), broken: broken && toSeal(broken) };
    ({ to_id: toId, digest } = last);
  }
}

function toSeal(row: SealRow): AuditSeal {
  return { fromId: row.from_id, toId: row.to_id, digest: row.digest.toString("hex"), sealedAt: row.sealed_at };
}
