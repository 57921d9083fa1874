/** The real demo, brought to where its pictures show most: hosts behind, one offline, one failed, a fleet update halted. */
import { readFile } from "node:fs/promises";
import { systemClock } from "../../../agent/clock-system.ts";
import { Role } from "../../../gen/rollcall/v1/options_pb.js";
import { FleetUpdateState } from "../../../gen/rollcall/v1/rollout_pb.js";
import { buildAgents } from "../../demo/agent-builds.ts";
import { DemoFleet, type HostIds } from "../../demo/demo-fleet.ts";
import { startAgent } from "../../demo/demo-host.ts";
import { updateHost } from "../../demo/update-host.ts";
import { accountsOf } from "../../support/account-client.ts";

/** Of the pictures: that of the commit would change them all each time. */
const VERSION = "1.8.0";
const NAMES = ["cache-01", "db-01", "db-02", "edge-porto", "web-01", "web-02", "web-03", "web-04"];
/** Its configuration asks for more space than any disk has, so its updates fail before a byte is fetched. */
const BROKEN = "db-02";
const AWAY = "edge-lisbon";
const NO_DISK_HAS_BYTES = 2 ** 53 - 1;

/** A running demo. */
export interface PicturedFleet extends AsyncDisposable {
  readonly web: string;
  /** By which the first admin is made. */
  readonly setupLink: string;
  readonly brokenHostId: string;
  /** Users and tokens. The link is of no use afterwards. */
  addPeople(): Promise<void>;
  /** Starts a fleet update. `during` is called while it runs; resolves once it has halted. */
  haltFleetUpdate(during: () => Promise<void>): Promise<void>;
}

/** Starts it, one host updated and one gone. */
export async function startPicturedFleet(print: (line: string) => void, signal: AbortSignal): Promise<PicturedFleet> {
  await using parts = new AsyncDisposableStack();
  const builds = await buildAgents(VERSION, print, signal);
  const fleet = parts.use(await DemoFleet.start(builds, systemClock, signal));
  const setupLink = (await readFile(fleet.server.setupLinkFile, "utf8")).trim();
  const ids = await fleet.addHosts(NAMES, signal, (name) =>
    name === BROKEN ? { reserveBytes: NO_DISK_HAS_BYTES } : {},
  );
  await leave(fleet, signal);
  for (const name of ["cache-01", "db-01"]) await updateHost(fleet.client, fleet.watch, ids.get(name) ?? "", signal);
  const running = parts.move();
  return {
    web: fleet.server.web,
    setupLink,
    brokenHostId: ids.get(BROKEN) ?? "",
    addPeople: () => addPeople(fleet),
    haltFleetUpdate: (during) => haltFleetUpdate(fleet, ids, during, signal),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** A host that was here and is no more. */
async function leave(fleet: DemoFleet, signal: AbortSignal): Promise<void> {
  const host = await fleet.enrollHost(AWAY, fleet.builds.older.binaryPath, signal);
  await using _agent = startAgent(host, systemClock);
  await fleet.waitUntilOnline(AWAY, signal);
}

async function addPeople(fleet: DemoFleet): Promise<void> {
  const { web, adminToken } = fleet.server;
  const accounts = accountsOf(web, adminToken);
  await accounts.createUser({ username: "otto", role: Role.OPERATOR });
  await accounts.createUser({ username: "vera", role: Role.VIEWER });
  await accounts.createApiToken({ label: "ci-deploy", role: Role.OPERATOR, validForSeconds: 90 * 86_400 });
  await accounts.createApiToken({ label: "grafana", role: Role.VIEWER, validForSeconds: 365 * 86_400 });
  await fleet.client.createEnrollmentToken({ label: "rack 12", maxUses: 20 });
}

async function haltFleetUpdate(
  fleet: DemoFleet,
  ids: HostIds,
  during: () => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const order = ["edge-porto", "web-01", "web-02", BROKEN, "web-03", "web-04"].map((name) => ids.get(name) ?? "");
  const { fleetUpdate } = await fleet.client.startFleetUpdate({ hostIds: order }, { signal });
  await during();
  await fleet.watch.until(
    ({ fleetUpdates }) =>
      fleetUpdates.get(fleetUpdate?.id ?? "")?.state === FleetUpdateState.HALTED ? true : undefined,
    signal,
  );
}
