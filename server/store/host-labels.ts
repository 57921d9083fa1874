/** Questions about what people call hosts and say of them. */
import { sql, type Kysely, type RawBuilder, type Transaction } from "kysely";
import type { HostId } from "../domain/ids.ts";
import type { Labels } from "../domain/labels.ts";
import type { Db } from "./schema.ts";

type Executor = Kysely<Db> | Transaction<Db>;

/** The labels of a row of `hosts`, by key. */
export const LABELS = sql<Labels>`(
  select coalesce(jsonb_agg(jsonb_build_object('key', said.key, 'value', said.value) order by said.key collate "C"), '[]')
  from host_labels as said where said.host_id = hosts.id)`;

/** Whether a row of `hosts` has all of these; true for none. The hosts that have them are looked up once a question, by their index. */
export function hasLabels(labels: Labels): RawBuilder<boolean> {
  if (labels.length === 0) return sql<boolean>`true`;
  return sql<boolean>`hosts.id in (
    select said.host_id from host_labels as said
    join unnest(${labels.map(({ key }) => key)}::text[], ${labels.map(({ value }) => value)}::text[])
      as wanted (key, value) on wanted.key = said.key and wanted.value = said.value
    group by said.host_id having count(*) = ${labels.length})`;
}

/** What somebody said of a host. */
export interface HostDescription {
  /** Empty for its hostname. */
  readonly displayName: string;
  readonly labels: Labels;
}

/** What was said of a host, with its row locked; `undefined` when it is unknown or removed. */
export async function lockDescription(tx: Transaction<Db>, hostId: HostId): Promise<HostDescription | undefined> {
  const row = await tx
    .selectFrom("hosts")
    .select(["display_name", LABELS.as("labels")])
    .where("id", "=", hostId)
    .where("removed_at", "is", null)
    .forNoKeyUpdate()
    .executeTakeFirst();
  return row && { displayName: row.display_name, labels: row.labels };
}

/** Names a host; empty for its hostname. */
export async function nameHost(tx: Transaction<Db>, hostId: HostId, displayName: string): Promise<void> {
  await tx.updateTable("hosts").set({ display_name: displayName }).where("id", "=", hostId).execute();
}

/** Gives a host these labels and no others. */
export async function replaceLabels(db: Executor, hostId: HostId, labels: Labels): Promise<void> {
  await db.deleteFrom("host_labels").where("host_id", "=", hostId).execute();
  if (labels.length === 0) return;
  await db
    .insertInto("host_labels")
    .values(labels.map((label) => ({ host_id: hostId, ...label })))
    .execute();
}
