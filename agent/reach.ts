/** `--reach`: says whether a server can be reached with this configuration. Asked of the old binary before it is put back. */
import type { Client } from "@grpc/grpc-js";
import { openServerAccess, type ServerAccess } from "./access-file.ts";
import type { Clock } from "./clock.ts";
import type { AgentPaths } from "./command-line.ts";
import { loadConfig } from "./config-file.ts";
import { loadIdentity } from "./identity.ts";
import { chooseProxy } from "./proxy/choose-proxy.ts";
import type { HttpProxy } from "./proxy/http-proxy.ts";
import { openChannel } from "./stream/channel.ts";

const REACH_LIMIT_MS = 5_000;

/**
 * True when a trusted TLS and HTTP/2 connection to any server that this host knows comes about within 5 s.
 *
 * *Throws* OperatorError when configuration or identity are not in order.
 */
export async function canReachServer(paths: AgentPaths, clock: Clock): Promise<boolean> {
  const config = await loadConfig(paths.configPath);
  const access = await openServerAccess(config, paths);
  await loadIdentity(paths.stateDir);
  return canReach(access, (server) => chooseProxy(config, server), clock);
}

/** The same of these servers. */
export async function canReach(
  { servers, roots }: ServerAccess,
  proxyTo: (server: string) => HttpProxy | undefined,
  clock: Clock,
): Promise<boolean> {
  const clients = servers.map((server) => openChannel(server, roots, proxyTo(server)));
  const decided = new AbortController();
  try {
    const limit = clock.sleep(REACH_LIMIT_MS, decided.signal).then(() => false);
    return await Promise.race([Promise.any(clients.map(becomeReady)).catch(() => false), limit]);
  } finally {
    decided.abort();
    for (const client of clients) client.close();
  }
}

function becomeReady(client: Client): Promise<true> {
  return new Promise((resolve, reject) => {
    client.waitForReady(Number.POSITIVE_INFINITY, (error) => (error === undefined ? resolve(true) : reject(error)));
  });
}
