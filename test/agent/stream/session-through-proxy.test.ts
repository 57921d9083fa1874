import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { parseConfig } from "../../../agent/config.ts";
import { enroll } from "../../../agent/enroll.ts";
import { loadIdentity } from "../../../agent/identity.ts";
import { chooseProxy } from "../../../agent/proxy/choose-proxy.ts";
import { openChannel } from "../../../agent/stream/channel.ts";
import { runSessionLoop } from "../../../agent/stream/session-loop.ts";
import type { Session, SessionListener } from "../../../agent/stream/session.ts";
import { HelloSchema, type Welcome } from "../../../gen/rollcall/v1/agent_pb.js";
import { startConnectProxy, type ConnectProxy } from "../../support/connect-proxy.ts";
import { createTestAuthority, startFakeAgentServer, type FakeAgentServer } from "../../support/fake-agent-server.ts";
import { Mailbox } from "../../support/mailbox.ts";
import { FakeClock } from "../fake-clock.ts";
import { findOpenSockets } from "../open-sockets.ts";
import { RecordingLog } from "../recording-log.ts";
import { runProgram } from "../run-program.ts";
import { TemporaryFolder } from "../temporary-folder.ts";

const AUTHORITY = createTestAuthority();
const AGENT = join(import.meta.dirname, "../../../agent/main.ts");
const PASSWORD = "s3cret";

let server: FakeAgentServer;
let proxy: ConnectProxy;
beforeAll(async () => {
  server = await startFakeAgentServer(AUTHORITY);
});
beforeEach(async () => {
  proxy = await startConnectProxy();
});
afterEach(async () => {
  await proxy[Symbol.asyncDispose]();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  expect(server.connections.size).toBe(0);
  expect(await findOpenSockets()).toEqual([]);
});

function configText(changes: object = {}): string {
  const https_proxy = `http://me:${PASSWORD}@127.0.0.1:${proxy.port}`;
  return JSON.stringify({ servers: [server.address], ca_pem: server.caPem, https_proxy, ...changes });
}

/** The loop as `run` starts it. */
class ProxiedLoop implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly log = new RecordingLog();
  readonly welcomes = new Mailbox<Welcome>();
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;

  constructor(changes: object = {}) {
    const config = parseConfig(configText(changes), "agent.json");
    const proxyTo = (address: string) => chooseProxy(config, address);
    const listener: SessionListener = {
      welcomed: (_session: Session, welcome: Welcome) => this.welcomes.put(welcome),
      received: () => undefined,
    };
    this.#ended = runSessionLoop(
      {
        servers: () => config.servers,
        openChannel: (address) => openChannel(address, Buffer.from(AUTHORITY.caPem), proxyTo(address)),
        proxyTo,
        credential: () => "credential",
        hello: () => create(HelloSchema, { agentVersion: "1.0" }),
        isUrgent: () => false,
        listener,
        clock: this.clock,
        random: { next: () => 0.5, uuid: () => "" },
        log: this.log,
      },
      this.#stop.signal,
    );
  }

  /** Goes on after the `count`th pause. */
  async passPause(count: number): Promise<void> {
    const { pause_ms } = await this.log.until("reconnect_pause", count);
    await this.clock.untilSleeping((delayMs) => delayMs === pause_ms);
    this.clock.advance(Number(pause_ms));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#ended;
    expect(this.clock.sleeping).toEqual([]);
    expect(JSON.stringify(this.log.events)).not.toContain(PASSWORD);
  }
}

test("a session goes through the proxy that the configuration names, with its credentials", async () => {
  await using loop = new ProxiedLoop();
  const connection = await server.connections.take();
  expect((await connection.hello()).agentVersion).toBe("1.0");
  connection.welcome(1n);
  await loop.welcomes.take();
  const authorization = `Basic ${Buffer.from(`me:${PASSWORD}`).toString("base64")}`;
  expect(proxy.requests).toMatchObject([{ server: server.address, authorization }]);
  expect(proxy.requests[0]?.bytesDown).toBeGreaterThan(1_000);
  expect(loop.log.events).toEqual([
    { level: "info", event: "connecting", server: server.address, proxy: `127.0.0.1:${proxy.port}` },
  ]);
});

test("a proxy that went away is dialled again until it is back", async () => {
  await using loop = new ProxiedLoop();
  const first = await server.connections.take();
  await first.hello();
  first.welcome(1n);
  await loop.welcomes.take();
  await proxy.leave();
  await loop.log.until("disconnected");
  await loop.passPause(1);
  expect((await loop.log.until("connect_failed"))["cause"]).toContain("ECONNREFUSED");
  await proxy.comeBack();
  await loop.passPause(2);
  const second = await server.connections.take();
  await second.hello();
  second.welcome(2n);
  expect((await loop.welcomes.take()).sessionEpoch).toBe(2n);
});

test.each([
  ["407 Proxy Authentication Required", 'refuses the user and the password in "https_proxy": 407 Proxy Authentication'],
  ["403 Forbidden", "does not let this host through to localhost:"],
  ["503 Service Unavailable", "503 Service Unavailable"],
])("what a proxy answers instead of a tunnel is told: %s", async (refusal, words) => {
  proxy.refusal = refusal;
  await using loop = new ProxiedLoop();
  await loop.passPause(1);
  // The first attempt and the later ones learn of it in different ways.
  for (const count of [1, 2]) {
    const failed = await loop.log.until("connect_failed", count);
    expect(failed["cause"]).toContain(`the proxy 127.0.0.1:${proxy.port} `);
    expect(failed["cause"]).toContain(words);
  }
  proxy.refusal = undefined;
  await loop.passPause(2);
  const connection = await server.connections.take();
  await connection.hello();
  connection.welcome(3n);
  await loop.welcomes.take();
});

test("servers that no_proxy names are reached directly", async () => {
  await using loop = new ProxiedLoop({ no_proxy: "10.0.0.0/8, localhost" });
  const connection = await server.connections.take();
  await connection.hello();
  connection.welcome(1n);
  await loop.welcomes.take();
  expect(proxy.requests).toEqual([]);
  expect(loop.log.events).toEqual([{ level: "info", event: "connecting", server: server.address }]);
});

test("a proxy that leads to an impostor gets neither Hello nor credential", async () => {
  await using impostor = await startFakeAgentServer(createTestAuthority());
  proxy.divertTo = Number(impostor.address.split(":")[1]);
  await using loop = new ProxiedLoop();
  expect((await loop.log.until("connect_failed"))["cause"]).toMatch(/certificate|self-signed/);
  expect(proxy.requests.length).toBeGreaterThanOrEqual(1);
  expect(impostor.connections.size).toBe(0);
});

test("the certificate has to name the server, not the proxy", async () => {
  proxy.divertTo = Number(server.address.split(":")[1]);
  // The certificate names 127.0.0.1 too, where the proxy is.
  await using loop = new ProxiedLoop({ servers: ["elsewhere.example:7171"] });
  expect((await loop.log.until("connect_failed"))["cause"]).toContain("Host: elsewhere.example.");
  expect(server.connections.size).toBe(0);
});

test("a host enrols through the proxy of its configuration", async () => {
  await using folder = await TemporaryFolder.create();
  server.script.enroll = () => ({ hostId: "host-1", credential: "credential-1" });
  const configPath = folder.join("agent.json");
  await writeFile(configPath, configText());
  await writeFile(folder.join("token"), "rc_enroll_0123456789");
  const stateDir = folder.join("state");
  const tokenSource = { kind: "file", path: folder.join("token") } as const;
  const command = {
    kind: "enroll",
    configPath,
    stateDir,
    tokenSource,
    servers: [],
    caFile: undefined,
    labels: [],
  } as const;
  proxy.refusal = "403 Forbidden";
  const refused = enroll({ ...command, force: false }, new FakeClock());
  await expect(refused).rejects.toThrow(`the proxy 127.0.0.1:${proxy.port} does not let this host through`);
  await expect(refused).rejects.not.toThrow(PASSWORD);
  proxy.refusal = undefined;
  expect(await enroll({ ...command, force: false }, new FakeClock())).toBe("host-1");
  expect((await loadIdentity(stateDir)).credential).toBe("credential-1");
  expect(proxy.requests.at(-1)?.server).toBe(server.address);
});

test("--reach goes the way of the configuration, whatever proxy the environment names", async () => {
  await using folder = await TemporaryFolder.create();
  await writeFile(folder.join("credential.json"), '{"host_id":"h","credential":"c"}', { mode: 0o600 });
  await writeFile(folder.join("proxied.json"), configText());
  await writeFile(folder.join("direct.json"), configText({ https_proxy: undefined }));
  const reach = (name: string, environmentProxy: string) => {
    const env = Object.fromEntries(["https_proxy", "HTTPS_PROXY", "grpc_proxy"].map((key) => [key, environmentProxy]));
    return runProgram(process.execPath, [AGENT, "--reach", "--config", folder.join(name), "--state-dir", folder.path], {
      env,
    });
  };
  const reached = { status: 0, stdout: "", stderr: "" };
  expect(await reach("direct.json", `http://127.0.0.1:${proxy.port}`)).toEqual(reached);
  expect(proxy.requests).toEqual([]);
  expect(await reach("proxied.json", "http://127.0.0.1:1")).toEqual(reached);
  expect(proxy.requests).toHaveLength(1);
}, 60_000);
