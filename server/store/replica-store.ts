/** The store as replicas ask for it. */
import type { Kysely } from "kysely";
import type { Durations } from "../domain/durations.ts";
import type { ReplicaId } from "../domain/ids.ts";
import type { OpenSession } from "../replicas/ports.ts";
import { answered } from "./away.ts";
import { freeDeadReplicas, listOpenSessions, renewReplica, startReplica } from "./replicas.ts";
import type { Db } from "./schema.ts";
import { closeSessions } from "./sessions.ts";

/** What the questions need besides the database. */
export interface ReplicaStoreOptions {
  readonly replicaId: ReplicaId;
  readonly durations: Durations;
}

/** Starts this replica, which closes what its last process left open, and binds its questions. */
export async function openReplicaStore(db: Kysely<Db>, { replicaId, durations }: ReplicaStoreOptions) {
  const epoch = await db.transaction().execute((tx) => startReplica(tx, replicaId, durations));
  return {
    renew: () => answered(renewReplica(db, replicaId, epoch)),
    freeDead: (at: Date) => answered(db.transaction().execute((tx) => freeDeadReplicas(tx, replicaId, at, durations))),
    listSessions: () => answered(listOpenSessions(db, replicaId)),
    closeSession: async (session: OpenSession) => {
      const [closed] = await answered(
        db.transaction().execute((tx) => closeSessions(tx, [session], durations.offlineAfterMs)),
      );
      return closed === true;
    },
  };
}
