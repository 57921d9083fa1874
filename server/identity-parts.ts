/** Puts the parts together by which hosts are let in. */
import type { Kysely } from "kysely";
import type { Random } from "./domain/clock.ts";
import type { HostId } from "./domain/ids.ts";
import { HostIdentities, type EndJob } from "./identity/host-identity.ts";
import { writeVoided } from "./replica-parts.ts";
import type { NoticeBoard } from "./replicas/notice-board.ts";
import { createIdentityStore } from "./store/identity-store.ts";
import type { Db } from "./store/schema.ts";
import type { UpdateStoreOptions } from "./store/update-store.ts";
import { machineReplaced } from "./watcher/replaced-host.ts";

/** What the parts are made of. */
export interface IdentityOptions {
  readonly db: Kysely<Db>;
  readonly storeOptions: UpdateStoreOptions;
  readonly credentialKey: Uint8Array;
  readonly random: Random;
  readonly board: NoticeBoard;
  readonly hostChanged: (hostId: HostId) => void;
  /** Ends whatever a host has open here. */
  readonly disconnect: (hostId: HostId, reason: Error) => void;
  /** Ends the open job of a host whose machine is replaced. */
  readonly endJob: EndJob;
}

/** Makes the identities, which hear what other servers say of credentials. */
export function createIdentities(options: IdentityOptions): HostIdentities {
  const { db, storeOptions, credentialKey, random, board, hostChanged, disconnect, endJob } = options;
  const changes = {
    hostChanged,
    generationAccepted: (hostId: HostId) => board.tell("credential", hostId),
    machineReplaced: (hostId: HostId, session: Parameters<typeof writeVoided>[1] | undefined) => {
      disconnect(hostId, machineReplaced());
      if (session !== undefined) board.tell("session", writeVoided(hostId, session));
    },
  };
  const store = createIdentityStore(db, storeOptions);
  const identities = new HostIdentities(store, credentialKey, random, changes, endJob);
  const { generations } = identities;
  for (const topic of ["credential", "host_removed"] as const)
    board.hear(topic, (ids) => generations.forget(ids as readonly HostId[]));
  board.onLapse(() => generations.forgetAll());
  return identities;
}
