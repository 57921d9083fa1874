/** What replicas ask of the database that they share. */
import type { HostId, SessionEpoch } from "../domain/ids.ts";

/** Carries texts to every replica, the sender included. What is sent while nobody listens is lost. */
export interface NoticeChannel {
  publish(payloads: readonly string[]): Promise<void>;
  /** Resolves once it listens the first time. `onListening` is called then, and each time that it listens again. */
  listen(onPayload: (payload: string) => void, onListening: () => void): Promise<AsyncDisposable>;
}

/** What became of a replica's own lease. */
export type Renewal =
  | "held"
  /** Others took it for dead and freed its hosts; from now on it is held again, with none. */
  | "freed"
  /** Another process runs under this replica's name. */
  | "taken";

/** One open session. */
export interface OpenSession {
  readonly hostId: HostId;
  readonly epoch: SessionEpoch;
}

/** The durable side of replicas. */
export interface ReplicaStore {
  /** *Shape*: `at` is the database's clock; `undefined` for a name that was taken. */
  renew(): Promise<{ readonly renewal: Renewal; readonly at: Date | undefined }>;
  /**
   * Frees the hosts of replicas whose lease had ended at `at`: closes their sessions and gives the hosts time to come
   * back.
   */
  freeDead(at: Date): Promise<readonly HostId[]>;
  /** The sessions that are open in this replica's name. */
  listSessions(): Promise<readonly OpenSession[]>;
  closeSession(session: OpenSession): Promise<boolean>;
}

/** The sessions that are open in this process. */
export interface SessionsHere {
  list(): readonly OpenSession[];
  /** True while the host has a session here, or one that is being opened. */
  has(hostId: HostId): boolean;
  /** Ends the host's session here if it is this one or an older one. */
  endUpTo(hostId: HostId, epoch: SessionEpoch): void;
  /** Sends every agent away, to come back, here or elsewhere, a little later. */
  sendAway(): void;
}

/** One line for whoever reads the log. */
export type Log = (level: "info" | "warn" | "error", event: string, fields?: Readonly<Record<string, unknown>>) => void;
