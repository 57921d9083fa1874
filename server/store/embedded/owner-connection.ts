import pg from "pg";
import { isDatabaseAway } from "../database-away.ts";
import { ClusterError } from "./cluster-error.ts";
import { OWNER_ROLE, SOCKET_PORT } from "./configuration.ts";

/** The server's own connection to its cluster. */
export interface OwnerConnection {
  readonly client: pg.Client;
  /** Resolves when the connection is gone, for whatever reason. */
  readonly ended: Promise<void>;
}

const CONNECT_TIMEOUT_MS = 5_000;

/**
 * Connects as the owner to the maintenance database; the name of the connection tells this process's id.
 *
 * *Shape*: undefined while the database does not answer.
 *
 * *Throws* ClusterError when it answers and refuses.
 */
export async function connectOwner(socketDir: string): Promise<OwnerConnection | undefined> {
  const client = new pg.Client({
    host: socketDir,
    port: SOCKET_PORT,
    user: OWNER_ROLE,
    database: "postgres",
    ssl: false,
    application_name: `rollcall-server:${process.pid}`,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  });
  // An `error` event without a listener would end the process; `end` follows it and is what counts.
  client.on("error", () => undefined);
  const ended = new Promise<void>((resolve) => client.once("end", resolve));
  try {
    await client.connect();
    return { client, ended };
  } catch (error) {
    await client.end().catch(() => undefined);
    if (isDatabaseAway(error)) return undefined;
    throw new ClusterError(`The database refused the server's own connection: ${String(error)}`, error);
  }
}
