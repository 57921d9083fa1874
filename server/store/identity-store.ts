/** The store as identities ask for it. */
import type { Kysely } from "kysely";
import type { NewAuditEvent } from "../domain/audit-event.ts";
import type { HostId } from "../domain/ids.ts";
import { writeAuditEvent } from "./audit-events.ts";
import { answered } from "./away.ts";
import { insertEnrollmentToken, useEnrollmentToken, type NewEnrollmentToken } from "./enrollment-tokens.ts";
import { findCredentialGeneration, insertHost } from "./hosts.ts";
import type { Db } from "./schema.ts";

/** Binds the questions about credentials and tokens. */
export function createIdentityStore(db: Kysely<Db>) {
  return {
    findCredentialGeneration: (hostId: HostId) => answered(findCredentialGeneration(db, hostId)),
    transaction<Result>(work: (tx: ReturnType<typeof bindTransaction>) => Promise<Result>): Promise<Result> {
      return answered(db.transaction().execute((tx) => work(bindTransaction(tx))));
    },
  };
}

function bindTransaction(tx: Parameters<typeof useEnrollmentToken>[0]) {
  return {
    useEnrollmentToken: (tokenSha256: Uint8Array) => useEnrollmentToken(tx, tokenSha256),
    insertEnrollmentToken: (token: NewEnrollmentToken) => insertEnrollmentToken(tx, token),
    insertHost: (host: Parameters<typeof insertHost>[1]) => insertHost(tx, host),
    writeAuditEvent: (event: NewAuditEvent) => writeAuditEvent(tx, event),
  };
}
