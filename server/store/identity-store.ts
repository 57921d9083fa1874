/** The store as identities ask for it. */
import type { Kysely, Transaction } from "kysely";
import type { HostId } from "../domain/ids.ts";
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
import { lockDescription, replaceLabels } from "./host-labels.ts";
import { isOfReplaced, replaceHost, type Replacement } from "./replaced-hosts.ts";
import type { Db } from "./schema.ts";
import { bindUpdateTransaction, type UpdateStoreOptions } from "./update-store.ts";

/** Binds the questions about credentials and tokens. */
export function createIdentityStore(db: Kysely<Db>, options: UpdateStoreOptions) {
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
      const result = await answered(
        db.transaction().execute((tx) => work(bindTransaction(tx, options, changedAlerts))),
      );
      if (changedAlerts.length > 0) options.alertsChanged(changedAlerts);
      return result;
    },
  };
}

function bindTransaction(tx: Transaction<Db>, options: UpdateStoreOptions, changedAlerts: string[]) {
  return {
    ...bindUpdateTransaction(tx, options, changedAlerts),
    useEnrollmentToken: (tokenSha256: Uint8Array) => useEnrollmentToken(tx, tokenSha256),
    insertEnrollmentToken: (token: NewEnrollmentToken) => insertEnrollmentToken(tx, token),
    revokeEnrollmentToken: (id: string) => revokeEnrollmentToken(tx, id),
    insertHost: (host: Parameters<typeof insertHost>[1]) => insertHost(tx, host),
    insertForgottenHost: (hostId: HostId, generation: number) => insertForgottenHost(tx, hostId, generation),
    replaceLabels: (hostId: HostId, labels: Labels) => replaceLabels(tx, hostId, labels),
    lockDescription: (hostId: HostId) => lockDescription(tx, hostId),
    replaceHost: (machine: Replacement) => replaceHost(tx, machine),
    isOfReplaced: (hostId: HostId, generation: number) => isOfReplaced(tx, hostId, generation),
  };
}
