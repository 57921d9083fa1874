import type { Migration } from "kysely/migration";
import * as initial from "./0001-initial.ts";
import * as accounts from "./0002-accounts.ts";
import * as fleetUpdates from "./0003-fleet-updates.ts";
import * as signedReleases from "./0004-signed-releases.ts";
import * as accountPages from "./0005-account-pages.ts";
import * as auditSeals from "./0006-audit-seals.ts";
import * as quarantine from "./0007-quarantine.ts";
import * as installRevisions from "./0008-install-revisions.ts";
import * as replicaLeases from "./0009-replica-leases.ts";
import * as fleetUpdateTurns from "./0010-fleet-update-turns.ts";
import * as notifications from "./0011-notifications.ts";
import * as sharedKeys from "./0012-shared-keys.ts";
import * as hostLabels from "./0013-host-labels.ts";
import * as jobLogs from "./0014-job-logs.ts";
import * as archivedHosts from "./0015-archived-hosts.ts";
import * as authorityRollover from "./0016-authority-rollover.ts";
import * as retention from "./0017-retention.ts";
import * as replacedHosts from "./0018-replaced-hosts.ts";

/** Every migration by its number. Forward only; none is edited once it has landed. */
export const migrations: Readonly<Record<string, Migration>> = {
  "0001-initial": initial,
  "0002-accounts": accounts,
  "0003-fleet-updates": fleetUpdates,
  "0004-signed-releases": signedReleases,
  "0005-account-pages": accountPages,
  "0006-audit-seals": auditSeals,
  "0007-quarantine": quarantine,
  "0008-install-revisions": installRevisions,
  "0009-replica-leases": replicaLeases,
  "0010-fleet-update-turns": fleetUpdateTurns,
  "0011-notifications": notifications,
  "0012-shared-keys": sharedKeys,
  "0013-host-labels": hostLabels,
  "0014-job-logs": jobLogs,
  "0015-archived-hosts": archivedHosts,
  "0016-authority-rollover": authorityRollover,
  "0017-retention": retention,
  "0018-replaced-hosts": replacedHosts,
};
