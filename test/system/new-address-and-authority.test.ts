/**
 * The drill of a move: three real agents, one of them behind a proxy, follow their server to another address and
 * another authority. None of them is restarted, and none has its configuration changed. Some 40 s.
 */
import { link, mkdtemp, readFile, realpath, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { HostStatus } from "../../gen/rollcall/v1/model_pb.js";
import { startProxy } from "../server/stream/tcp-proxy.ts";
import { layOutAgentHost, type AgentHost } from "../support/agent-host.ts";
import { AgentProcess } from "../support/agent-process.ts";
import { buildTestAgents } from "../support/built-agent.ts";
import { ChildFleet } from "../support/child-fleet.ts";
import { startConnectProxy, type ConnectProxy } from "../support/connect-proxy.ts";

const NAMES = ["web-1", "web-2", "behind-a-proxy"];

let folder: string;
let olderBinary: string;

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), "rollcall-move-")));
  olderBinary = (await buildTestAgents()).older.binaryPath;
}, 120_000);

afterAll(() => rm(folder, { recursive: true }));

async function startAgent(host: AgentHost, proxy: ConnectProxy): Promise<AgentProcess> {
  await link(olderBinary, host.paths.binary);
  if (host.hostname === "behind-a-proxy") {
    const config = JSON.parse(await readFile(host.configPath, "utf8")) as object;
    await writeFile(host.configPath, JSON.stringify({ ...config, https_proxy: `http://127.0.0.1:${proxy.port}` }));
  }
  return AgentProcess.start(host);
}

test("agents follow their server to a new address and a new authority, and the old ones can go", async () => {
  await using parts = new AsyncDisposableStack();
  const fleet = parts.use(await ChildFleet.create({ heartbeatIntervalMs: 500 }));
  const proxy = parts.use(await startConnectProxy());
  const server = fleet.addServer("one");
  await server.start();
  const oldAddress = server.agents;
  const tls = (name: string): string => join(fleet.folder, "one", "tls", name);
  const hosts: AgentHost[] = [];
  const agents: AgentProcess[] = [];
  for (const hostname of NAMES) {
    const of = { agents: oldAddress, caPem: await server.caPem() };
    const host = await layOutAgentHost({
      folder: join(folder, hostname),
      hostname,
      fleet: await server.fleet(),
      server: of,
    });
    hosts.push(host);
    agents.push(parts.use(await startAgent(host, proxy)));
  }
  const all = (event: string, count: number): Promise<unknown> =>
    Promise.all(agents.map((agent) => agent.until(event, count)));

  // Both addresses lead to it, and both authorities are told.
  const overlap = await startProxy(Number(oldAddress.split(":")[1]));
  const newAddress = overlap.address;
  const both = { ROLLCALL_AGENT_URLS: `${oldAddress},${newAddress}` };
  await server.stop();
  await server.start({ ...both, ROLLCALL_AUTHORITY_ROLLOVER: "announce" });
  await all("server_access_adopted", 1);
  // The new authority signs; who heard of it comes back.
  await server.stop();
  await server.start({ ...both, ROLLCALL_AUTHORITY_ROLLOVER: "switch" });
  await all("connected", 3);
  // The old ones go.
  await server.stop();
  await overlap[Symbol.asyncDispose]();
  const oldAuthority = await readFile(tls("ca.crt"), "utf8");
  for (const ending of ["key", "crt"]) await rename(tls(`next-ca.${ending}`), tls(`ca.${ending}`));
  const moved = { ROLLCALL_AGENT_LISTEN: newAddress, ROLLCALL_AGENT_URLS: newAddress };
  await server.start(moved);
  await all("server_access_adopted", 2);
  await server.stop();
  await server.start(moved);
  await all("connected", 5);

  const newAuthority = await readFile(tls("ca.crt"), "utf8");
  expect(newAuthority).not.toBe(oldAuthority);
  for (const host of hosts) {
    const kept = await readFile(join(host.paths.stateDir, "server-access.json"), "utf8");
    const { servers, authorities_pem } = JSON.parse(kept) as { servers: string[]; authorities_pem: string };
    expect({ servers, authorities_pem }).toEqual({ servers: [newAddress], authorities_pem: newAuthority.trim() });
    const { host: seen } = await (await server.fleet()).getHost({ hostId: host.hostId });
    expect(seen?.status).toBe(HostStatus.ONLINE);
  }
  expect(agents.map(({ events }) => events.filter((event) => event === "started").length)).toEqual([1, 1, 1]);
  expect(proxy.requests.some(({ server: asked }) => asked === newAddress)).toBe(true);
}, 300_000);
