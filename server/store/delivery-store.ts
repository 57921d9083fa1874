/** The store as deliveries ask for it. */
import type { Kysely } from "kysely";
import type { JobId } from "../domain/ids.ts";
import { answered } from "./away.ts";
import { addDelivered } from "./deliveries.ts";
import type { Db } from "./schema.ts";

/** Binds what is written down about deliveries. */
export function createDeliveryStore(db: Kysely<Db>) {
  return {
    addDelivered: (jobId: string, bytes: number) => answered(addDelivered(db, jobId as JobId, bytes)),
  };
}
