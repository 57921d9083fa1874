/** The store as identities ask for it. */
import type { Kysely, Transaction } from "kysely";
import type { NewAlert } from "../domain/alert.ts";
import type { NewAuditEvent } from "../domain/audit-event.ts";
import type { HostId } from "../domain/ids.ts";
import { raiseAlert } from "./alerts.ts";
import { writeAuditEvent } from "./audit-events.ts";
import { answered } from "./away.ts";
import { CoalescedQuestions } from "./coalesced-questions.ts";
import {
  insertEnrollmentToken,
  isUsableToken,
  revokeEnrollmentToken,
  useEnrollmentToken,
  type NewEnrollmentToken,
} from "./enrollment-tokens.ts";
import { insertForgottenHost } from "./forgotten-hosts.ts";
import { acceptGeneration, findCredentialGenerations, insertHost } from "./hosts.ts";
import type { Labels } from "../domain/labels.ts";
import { replaceLabels } from "./host-labels.ts";
import type { Db } from "./schema.ts";
import { markIdentityDuplicated } from "./sessions.ts";

/** Binds the questions about credentials and tokens. `alertsChanged` is told once a transaction is committed. */
export function createIdentityStore(db: Kysely<Db>, alertsChanged: (ids: readonly string[]) => void) {
  // While one question is out, those that come meanwhile gather into the next.
  const questions = new CoalescedQuestions();
  return {
    findCredentialGeneration: questions.add((hostIds: readonly HostId[]) =>
      answered(findCredentialGenerations(db, hostIds)),
    ),
    acceptGeneration: (hostId: HostId, generation: number) => answered(acceptGeneration(db, hostId, generation)),
    isUsableToken: (tokenSha256: Uint8Array) => answered(isUsableToken(db, tokenSha256)),
    async transaction<Result>(work: (tx: ReturnType<typeof bindTransaction>) => Promise<Result>): Promise<Result> {
      const changedAlerts: string[] = [];
      const result = await answered(db.transaction().execute((tx) => work(bindTransaction(tx, changedAlerts))));
      if (changedAlerts.length > 0) alertsChanged(changedAlerts);
      return result;
    },
  };
}

function bindTransaction(tx: Transaction<Db>, changedAlerts: string[]) {
  return {
    useEnrollmentToken: (tokenSha256: Uint8Array) => useEnrollmentToken(tx, tokenSha256),
    insertEnrollmentToken: (token: NewEnrollmentToken) => insertEnrollmentToken(tx, token),
    revokeEnrollmentToken: (id: string) => revokeEnrollmentToken(tx, id),
    insertHost: (host: Parameters<typeof insertHost>[1]) => insertHost(tx, host),
    insertForgottenHost: (hostId: HostId, generation: number) => insertForgottenHost(tx, hostId, generation),
    replaceLabels: (hostId: HostId, labels: Labels) => replaceLabels(tx, hostId, labels),
    markIdentityDuplicated: (hostId: HostId) => markIdentityDuplicated(tx, hostId),
    raiseAlert: async (alert: NewAlert) => {
      const id = await raiseAlert(tx, alert);
      if (id !== undefined) changedAlerts.push(id);
    },
    writeAuditEvent: (event: NewAuditEvent) => writeAuditEvent(tx, event),
  };
}
