import { sql, type RawBuilder } from "kysely";

/** A duration as SQL, for arithmetic with the database's own clock. */
export function milliseconds(durationMs: number): RawBuilder<unknown> {
  return sql`make_interval(secs => ${durationMs / 1000}::float8)`;
}
