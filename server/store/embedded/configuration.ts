/**
 * What PostgreSQL is told. The files lie outside its data folder and belong to
 * whoever runs the server, so that the database's own user cannot loosen them;
 * they are written again before every start.
 */
import type { Account } from "./account.ts";

/** Superuser of the cluster: makes roles and databases and runs migrations. */
export const OWNER_ROLE = "rollcall_owner";
/** What the running server works as: rows only, no DDL. */
export const APP_ROLE = "rollcall_app";
/** The server's database. */
export const DATABASE = "rollcall";
/** Part of the socket's file name; nothing listens on a network. */
export const SOCKET_PORT = 5432;

const USER_MAP = "rollcall";

/** What differs from one cluster to the next. */
export interface ConfigurationFacts {
  readonly socketDir: string;
  readonly logDir: string;
  readonly hbaFile: string;
  readonly identFile: string;
}

/** Text of `postgresql.conf`. Small memory, full durability, a log in files of bounded size. */
export function serverSettings(facts: ConfigurationFacts, changes: Readonly<Record<string, string>> = {}): string {
  const settings: Record<string, string> = {
    listen_addresses: "",
    port: String(SOCKET_PORT),
    // A list: without the inner quotes a comma in the path would make two of it.
    unix_socket_directories: `"${facts.socketDir.replaceAll('"', '""')}"`,
    unix_socket_permissions: "0700",
    hba_file: facts.hbaFile,
    ident_file: facts.identFile,
    max_connections: "60",
    superuser_reserved_connections: "5",
    fsync: "on",
    synchronous_commit: "on",
    full_page_writes: "on",
    shared_buffers: "64MB",
    work_mem: "4MB",
    maintenance_work_mem: "32MB",
    min_wal_size: "32MB",
    max_wal_size: "256MB",
    max_wal_senders: "0",
    wal_level: "minimal",
    logging_collector: "on",
    log_directory: facts.logDir,
    log_filename: "postgres-%Y%m%d-%H%M%S.log",
    log_file_mode: "0600",
    log_rotation_age: "0",
    log_rotation_size: "4MB",
    log_line_prefix: "%m [%p] %a ",
    log_timezone: "UTC",
    timezone: "UTC",
    lc_messages: "C",
    default_text_search_config: "pg_catalog.simple",
    ...changes,
  };
  return lines(Object.entries(settings).map(([name, value]) => `${name} = ${quoted(value)}`));
}

/** Text of `pg_hba.conf`: the kernel vouches for who connects. No password, no network, no `trust`. */
export function accessRules(): string {
  return lines([`local all ${OWNER_ROLE},${APP_ROLE} peer map=${USER_MAP}`]);
}

/** Text of `pg_ident.conf`: the server's user, and nobody else, may be either role. */
export function userMap(server: Account): string {
  return lines([OWNER_ROLE, APP_ROLE].map((role) => `${USER_MAP} "${server.name}" ${role}`));
}

/** *Source*: postgresql.conf doubles a quote inside quotes and reads backslashes as escapes. */
function quoted(value: string): string {
  return `'${value.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;
}

function lines(texts: readonly string[]): string {
  return texts.map((text) => `${text}\n`).join("");
}
