/** What is measured: the server, or a peer that does less. All are read by the same books. */
import { systemClock } from "../../agent/clock-system.ts";
import type { Crowd } from "./crowd.ts";
import type { LoadTarget } from "./load/orders.ts";
import type { Peer } from "./peer/peer.ts";
import { readCost, readFamilyCpuMs } from "./process-cost.ts";

export interface Contender {
  readonly name: string;
  readonly target: LoadTarget;
  readonly processId: number;
  /** *Units*: milliseconds of processor time of its database, 0 without one. */
  databaseCpuMs(): Promise<number>;
  /** Agents that it counts as connected. */
  countConnected(): Promise<number>;
}

/** One look at a contender. */
export interface Books {
  /** *Units*: milliseconds. */
  readonly cpuMs: number;
  readonly databaseCpuMs: number;
  readonly residentBytes: number;
}

const POLL_MS = 200;

/** The server of a crowd. */
export function serverContender({ server, database, target, postmasterId }: Crowd): Contender {
  return {
    name: "rollcall",
    target,
    get processId() {
      return server.processId;
    },
    databaseCpuMs: () => readFamilyCpuMs(postmasterId),
    countConnected: async () => {
      const { rows } = await database.query<{ count: string }>(
        "select count(*) from agent_sessions where closed_at is null",
      );
      return Number(rows[0]?.count);
    },
  };
}

/** A peer. */
export function peerContender(peer: Peer): Contender {
  return {
    name: peer.name,
    target: peer.target,
    processId: peer.processId,
    databaseCpuMs: () => Promise.resolve(0),
    countConnected: () => peer.count(),
  };
}

/** *Throws* Error when its process is gone. */
export async function readBooks(contender: Contender): Promise<Books> {
  const [cost, databaseCpuMs] = await Promise.all([readCost(contender.processId), contender.databaseCpuMs()]);
  if (cost === undefined) throw new Error(`${contender.name} ended`);
  return { cpuMs: cost.cpuMs, residentBytes: cost.residentBytes, databaseCpuMs };
}

/** Waits until nobody is connected. */
export async function untilEmpty(contender: Contender, signal: AbortSignal): Promise<void> {
  while ((await contender.countConnected()) > 0) await systemClock.sleep(POLL_MS, signal);
}
