/** The store as those ask for it who do something to hosts. */
import type { Kysely, Transaction } from "kysely";
import type { NewAuditEvent } from "../domain/audit-event.ts";
import type { HostId } from "../domain/ids.ts";
import type { Labels } from "../domain/labels.ts";
import { writeAuditEvent } from "./audit-events.ts";
import { answered } from "./away.ts";
import { lockDescription, nameHost, replaceLabels } from "./host-labels.ts";
import type { Db } from "./schema.ts";

/** Binds the questions. */
export function createHostStore(db: Kysely<Db>) {
  return {
    transaction: <Result>(work: (tx: ReturnType<typeof bindTransaction>) => Promise<Result>): Promise<Result> =>
      answered(db.transaction().execute((tx) => work(bindTransaction(tx)))),
  };
}

function bindTransaction(tx: Transaction<Db>) {
  return {
    lockDescription: (hostId: HostId) => lockDescription(tx, hostId),
    nameHost: (hostId: HostId, displayName: string) => nameHost(tx, hostId, displayName),
    replaceLabels: (hostId: HostId, labels: Labels) => replaceLabels(tx, hostId, labels),
    writeAuditEvent: (event: NewAuditEvent) => writeAuditEvent(tx, event),
  };
}
