/** The store as those ask for it who do something to hosts. */
import type { Kysely, Transaction } from "kysely";
import type { AlertKind } from "../domain/alert.ts";
import type { NewAuditEvent } from "../domain/audit-event.ts";
import type { HostId } from "../domain/ids.ts";
import type { Labels } from "../domain/labels.ts";
import { resolveAlerts } from "./alerts.ts";
import { archiveHost, unarchiveHost } from "./archived-hosts.ts";
import { writeAuditEvent } from "./audit-events.ts";
import { answered } from "./away.ts";
import { lockDescription, nameHost, replaceLabels } from "./host-labels.ts";
import { lockOpenJobs } from "./jobs.ts";
import type { Db } from "./schema.ts";

/** Binds the questions. `alertsChanged` is told once a transaction is committed. */
export function createHostStore(db: Kysely<Db>, alertsChanged: (ids: readonly string[]) => void) {
  return {
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
    lockDescription: (hostId: HostId) => lockDescription(tx, hostId),
    nameHost: (hostId: HostId, displayName: string) => nameHost(tx, hostId, displayName),
    replaceLabels: (hostId: HostId, labels: Labels) => replaceLabels(tx, hostId, labels),
    archiveHost: (hostId: HostId) => archiveHost(tx, hostId),
    unarchiveHost: (hostId: HostId) => unarchiveHost(tx, hostId),
    findOpenJob: async (hostId: HostId) => (await lockOpenJobs(tx, [hostId]))[0]?.id,
    resolveAlerts: async (hostId: HostId, kinds: readonly AlertKind[]) => {
      changedAlerts.push(...(await resolveAlerts(tx, [{ hostId, kinds }])).flat());
    },
    writeAuditEvent: (event: NewAuditEvent) => writeAuditEvent(tx, event),
  };
}
