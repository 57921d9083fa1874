/** What fleets of other sizes would cost, from what one host costs. Linear: nothing that a host does looks at another. */

/** What one host costs, and where that was measured. */
export interface HostCosts {
  /** *Units*: bytes of a server process for one connected agent, over TLS. */
  readonly residentBytes: number;
  /** *Units*: microseconds of processor time of a server. */
  readonly heartbeatUs: number;
  readonly pingUs: number;
  readonly helloUs: number;
  readonly updateUs: number;
  /** *Units*: microseconds of processor time of the database. */
  readonly helloDatabaseUs: number;
  readonly updateDatabaseUs: number;
  /** *Units*: bytes of write-ahead log. */
  readonly seenWalBytes: number;
  readonly updateWalBytes: number;
  /** *Units*: bytes of one host in WatchFleet's snapshot. */
  readonly snapshotBytes: number;
}

/**
 * A Hello by `storm` and an update by `fleet` with 1,000 agents, on two cores that did much else (load 17 to 31): a
 * quiet machine takes a good deal less. Memory, heartbeats and PINGs by a prototype of the listener with 2,000 to
 * 5,000 agents. The log of a row that touches no index, and the size of a host in a snapshot, are estimates.
 */
export const MEASURED: HostCosts = {
  residentBytes: 110 * 1024,
  heartbeatUs: 95,
  pingUs: 95,
  helloUs: 7_400,
  updateUs: 18_000,
  helloDatabaseUs: 3_400,
  updateDatabaseUs: 10_800,
  seenWalBytes: 250,
  updateWalBytes: 9_200,
  snapshotBytes: 300,
};

/** How many hosts the table is for. */
export const FLEETS = [10_000, 100_000, 1_000_000] as const;

const AGENTS_A_SERVER = 10_000;
const EMPTY_SERVER_BYTES = 150 * 1024 * 1024;
const HEARTBEAT_SECONDS = 15;
const PING_SECONDS = 20;
const SEEN_SECONDS = 60;
const [GIBI, GIGA, MEGA] = [1024 ** 3, 1e9, 1e6];

/** What a fleet asks of its servers and of its one database. */
export interface FleetCosts {
  readonly servers: number;
  readonly memoryGib: number;
  /** Cores of all servers with every agent at rest. */
  readonly idleCores: number;
  readonly idleRowsPerSecond: number;
  readonly idleWalGbPerHour: number;
  /** Core-seconds until a whole fleet is back, of all servers and of the database. */
  readonly returnServerSeconds: number;
  readonly returnDatabaseSeconds: number;
  /** The same for an update of the whole fleet. */
  readonly updateServerSeconds: number;
  readonly updateDatabaseSeconds: number;
  readonly updateWalGb: number;
  /** What each watcher is sent first. */
  readonly snapshotMb: number;
}

/** Reckons them. */
export function fleetCosts(hosts: number, host: HostCosts): FleetCosts {
  const servers = Math.ceil(hosts / AGENTS_A_SERVER);
  const seconds = (microseconds: number): number => (hosts * microseconds) / MEGA;
  return {
    servers,
    memoryGib: (servers * EMPTY_SERVER_BYTES + hosts * host.residentBytes) / GIBI,
    idleCores: seconds(host.heartbeatUs / HEARTBEAT_SECONDS + host.pingUs / PING_SECONDS),
    idleRowsPerSecond: hosts / SEEN_SECONDS,
    idleWalGbPerHour: ((hosts * host.seenWalBytes) / GIGA) * (3_600 / SEEN_SECONDS),
    returnServerSeconds: seconds(host.helloUs),
    returnDatabaseSeconds: seconds(host.helloDatabaseUs),
    updateServerSeconds: seconds(host.updateUs),
    updateDatabaseSeconds: seconds(host.updateDatabaseUs),
    updateWalGb: (hosts * host.updateWalBytes) / GIGA,
    snapshotMb: (hosts * host.snapshotBytes) / MEGA,
  };
}

const ROWS: readonly (readonly [string, keyof FleetCosts])[] = [
  ["servers of 10,000 agents", "servers"],
  ["memory of all, GiB", "memoryGib"],
  ["at rest: cores of all servers", "idleCores"],
  ["at rest: rows the database writes a second", "idleRowsPerSecond"],
  ["at rest: write-ahead log an hour, GB", "idleWalGbPerHour"],
  ["all come back: core-seconds of all servers", "returnServerSeconds"],
  ["all come back: core-seconds of the database", "returnDatabaseSeconds"],
  ["all are updated: core-seconds of all servers", "updateServerSeconds"],
  ["all are updated: core-seconds of the database", "updateDatabaseSeconds"],
  ["all are updated: write-ahead log, GB", "updateWalGb"],
  ["a dashboard opens: MB to each", "snapshotMb"],
];

/** The table, in Markdown, line by line. */
export function limitsTable(host: HostCosts = MEASURED): readonly string[] {
  const costs = FLEETS.map((hosts) => fleetCosts(hosts, host));
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [
    line(["hosts", ...FLEETS.map((hosts) => hosts.toLocaleString("en"))]),
    line(["---", ...FLEETS.map(() => "---:")]),
    ...ROWS.map(([title, name]) => line([title, ...costs.map((cost) => readable(cost[name]))])),
  ];
}

/** Two digits that count; more would claim to know more. */
function readable(value: number): string {
  return Number(value.toPrecision(2)).toLocaleString("en", { maximumFractionDigits: 2 });
}
