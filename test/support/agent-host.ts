/** A host laid out and enrolled as an installer does it, all but the binary, which its caller puts in place. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Client } from "@connectrpc/connect";
import { storeIdentity } from "../../agent/identity.ts";
import { updatePaths, type UpdatePaths } from "../../agent/updater/update-paths.ts";
import type { FleetService } from "../../gen/rollcall/v1/fleet_pb.js";
import { enrollHost } from "./host-enrollment.ts";

/** Where a host is to be, and whose. */
export interface AgentHostOrder {
  /** Made by this; holds everything of the host. */
  readonly folder: string;
  readonly hostname: string;
  readonly fleet: Client<typeof FleetService>;
  readonly server: { readonly agents: string; readonly caPem: string };
  /** *Units*: bytes that an update must leave free. */
  readonly reserveBytes?: number;
}

/** An enrolled host. */
export interface AgentHost {
  readonly hostId: string;
  readonly hostname: string;
  readonly paths: UpdatePaths;
  readonly configPath: string;
  /** What its binary is started with. */
  readonly runArguments: readonly string[];
}

/** Lays out a host and enrols it. */
export async function layOutAgentHost(order: AgentHostOrder): Promise<AgentHost> {
  const { folder, hostname, fleet, server, reserveBytes } = order;
  const paths = updatePaths(join(folder, "bin", "rollcall-agent"), join(folder, "state"));
  const configPath = join(folder, "agent.json");
  await mkdir(folder, { mode: 0o700 });
  await mkdir(paths.folder, { mode: 0o700 });
  await mkdir(paths.stateDir, { mode: 0o700 });
  const config = { servers: [server.agents], ca_pem: server.caPem, hostname, reserve_bytes: reserveBytes };
  await writeFile(configPath, JSON.stringify(config));
  const identity = await enrollHost(fleet, server, hostname);
  await storeIdentity(paths.stateDir, identity);
  const runArguments = ["run", "--config", configPath, "--state-dir", paths.stateDir];
  return { hostId: identity.hostId, hostname, paths, configPath, runArguments };
}
