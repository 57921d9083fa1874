/** A server of a benchmark's own with a fleet that is enrolled and away. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type pg from "pg";
import { deriveCredential } from "../../server/identity/host-credential.ts";
import type { HostId } from "../../server/domain/ids.ts";
import type { LoadTarget, SimulatedHost } from "./load/orders.ts";
import { startOwnServer, type OwnServer, type OwnServerOptions } from "./own-server.ts";
import { readCost } from "./process-cost.ts";

/** What the fleet runs. */
export const CROWD_VERSION = "1.0.0";
const TARGET_VERSION = "2.0.0";

/** The server and its hosts. */
export interface Crowd extends OwnServer {
  readonly hosts: readonly SimulatedHost[];
  readonly target: LoadTarget;
  readonly caPem: string;
  /** Certificate and key of the server, for peers that serve the same. */
  readonly pemPath: string;
  /** The key that credentials are derived with. */
  readonly credentialKeyPath: string;
  /** The process whose children are PostgreSQL. */
  readonly postmasterId: number;
}

/**
 * Starts a server with so many hosts. They are written into the database as enrolment
 * leaves them, and their credentials are derived by the server's own code from its own key:
 * ten thousand calls of Enroll would tell nothing about the streams.
 */
export async function gatherCrowd(
  count: number,
  signal: AbortSignal,
  options: Partial<OwnServerOptions> = {},
): Promise<Crowd> {
  await using parts = new AsyncDisposableStack();
  const own = parts.use(await startOwnServer({ version: TARGET_VERSION, settings: {}, ...options }, signal));
  // While no server runs that might think it knows all hosts.
  await own.server.kill();
  const credentialKeyPath = join(own.dataDir, "credential.key");
  const hosts = await enrolHosts(own.database, await readFile(credentialKeyPath, "utf8"), count);
  await own.server.start(options.environment);
  const caPem = await own.server.caPem();
  const [host = "", port] = own.server.agents.split(":");
  const postmasterId = await findPostmaster(own.database);
  const running = parts.move();
  return {
    ...own,
    hosts,
    target: { wire: "grpc", host, port: Number(port), caPem },
    caPem,
    pemPath: join(own.dataDir, "tls", "server.pem"),
    credentialKeyPath,
    postmasterId,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

async function enrolHosts(database: pg.Client, keyText: string, count: number): Promise<readonly SimulatedHost[]> {
  const key = Buffer.from(keyText.trim(), "hex");
  const { rows } = await database.query<{ id: string; hostname: string }>(
    `insert into hosts (id, hostname, os, arch, agent_version, offline_at)
     select gen_random_uuid(), 'bench-' || lpad(n::text, 5, '0'), 'linux', 'x64', $2, clock_timestamp()
     from generate_series(1, $1::int) as n returning id, hostname`,
    [count, CROWD_VERSION],
  );
  await database.query("vacuum analyze");
  return rows.map(({ id, hostname }, index) => ({
    hostId: id,
    hostname,
    credential: deriveCredential(key, { hostId: id as HostId, generation: 1 }),
    localAddress: `127.${1 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`,
  }));
}

async function findPostmaster(database: pg.Client): Promise<number> {
  const { rows } = await database.query<{ pid: number }>("select pg_backend_pid() as pid");
  return (await readCost(rows[0]?.pid ?? 0))?.parentId ?? 0;
}
