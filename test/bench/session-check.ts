/** Whether agents, server and database agree on who is connected. */
import { readFile } from "node:fs/promises";
import type { Crowd } from "./crowd.ts";
import type { HeldSession } from "./load/orders.ts";

const ESTABLISHED = "01";

/** One line for each disagreement: hosts lost, hosts doubled, hosts that the database does not call online. */
export async function findSessionProblems(crowd: Crowd, held: readonly HeldSession[]): Promise<readonly string[]> {
  const { database, hosts } = crowd;
  const stored = await database.query<{ host_id: string; epoch: string }>(
    "select host_id, epoch::text from agent_sessions where closed_at is null",
  );
  const online = await database.query<{ count: string }>(
    "select count(*) from hosts where removed_at is null and offline_at is null",
  );
  const epochs = new Map(stored.rows.map(({ host_id, epoch }) => [host_id, epoch]));
  const different = held.filter(({ hostId, epoch }) => epochs.get(hostId) !== epoch).length;
  const facts: readonly (readonly [number, string])[] = [
    [held.length, "agents hold a session"],
    [new Set(held.map(({ hostId }) => hostId)).size, "hosts hold a session"],
    [stored.rows.length, "sessions are open in the database"],
    [Number(online.rows[0]?.count), "hosts are online in the database"],
    [await countConnections(crowd.target.port), "connections are open at the server's port"],
  ];
  return [
    ...facts.filter(([count]) => count !== hosts.length).map(([count, what]) => `${count} of ${hosts.length} ${what}`),
    ...(different === 0 ? [] : [`${different} agents hold another session than the database`]),
  ];
}

/** *Source*: proc_net_tcp(5): addresses and ports in hex, then the state. */
async function countConnections(port: number): Promise<number> {
  const local = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const lines = (await readFile("/proc/net/tcp", "utf8")).split("\n").map((line) => line.trim().split(/\s+/));
  return lines.filter(([, address, , state]) => address?.endsWith(local) === true && state === ESTABLISHED).length;
}
