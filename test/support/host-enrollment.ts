import type { Client } from "@connectrpc/connect";
import type { FleetService } from "../../gen/rollcall/v1/fleet_pb.js";
import { ScriptedAgent } from "./scripted-agent.ts";

/** Enrols one host and tells its id and credential. */
export async function enrollHost(
  fleet: Client<typeof FleetService>,
  server: { readonly agents: string; readonly caPem: string },
  hostname: string,
): Promise<{ readonly hostId: string; readonly credential: string }> {
  const { token } = await fleet.createEnrollmentToken({ label: hostname });
  using agent = new ScriptedAgent({ address: server.agents, caPem: server.caPem });
  return await agent.enroll({ token, hostname, os: "linux", arch: "x64" });
}
