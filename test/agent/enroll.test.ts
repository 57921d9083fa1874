import { once } from "node:events";
import { chmod, mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { status } from "@grpc/grpc-js";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Command } from "../../agent/command-line.ts";
import { enroll } from "../../agent/enroll.ts";
import { loadIdentity } from "../../agent/identity.ts";
import type { EnrollRequest } from "../../gen/rollcall/v1/agent_pb.js";
import { Refusal_Reason } from "../../gen/rollcall/v1/model_pb.js";
import { createTestAuthority, startFakeAgentServer, type FakeAgentServer } from "../support/fake-agent-server.ts";
import { FakeClock } from "./fake-clock.ts";
import { findOpenSockets } from "./open-sockets.ts";
import { TemporaryFolder } from "./temporary-folder.ts";

const TOKEN = "rc_enroll_0123456789";

let server: FakeAgentServer;
const requests: EnrollRequest[] = [];
beforeAll(async () => {
  server = await startFakeAgentServer(createTestAuthority());
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  expect(await findOpenSockets()).toEqual([]);
});

type EnrollCommand = Command & { kind: "enroll" };

async function prepare(folder: TemporaryFolder, changes: Partial<EnrollCommand> = {}): Promise<EnrollCommand> {
  requests.length = 0;
  server.script.enroll = (request) => {
    requests.push(request);
    return { hostId: "host-1", credential: `credential-${requests.length}` };
  };
  await writeFile(folder.join("ca.pem"), server.caPem);
  await writeFile(folder.join("token"), `${TOKEN}\n`);
  return {
    kind: "enroll",
    configPath: folder.join("etc", "agent.json"),
    stateDir: folder.join("state"),
    tokenSource: { kind: "file", path: folder.join("token") },
    servers: [server.address],
    caFile: folder.join("ca.pem"),
    force: false,
    labels: [],
    ...changes,
  };
}

async function refusal(command: EnrollCommand): Promise<string> {
  const clock = new FakeClock();
  const error: unknown = await enroll(command, clock).then(
    () => undefined,
    (caught: unknown) => caught,
  );
  expect(error).toMatchObject({ name: "OperatorError" });
  expect(clock.sleeping).toEqual([]);
  const { message } = error as Error;
  expect(message).not.toContain(TOKEN);
  return message;
}

/** Enrols, and lets the time go by that a silent server is given. */
async function giveUpWaiting(command: EnrollCommand): Promise<string> {
  const clock = new FakeClock();
  const enrolling = enroll(command, clock).catch((error: Error) => error.message);
  clock.advance(await clock.untilSleeping((delayMs) => delayMs === 30_000));
  return await enrolling;
}

test("enrolment trades the token for an identity that only its owner may read, and writes the configuration", async () => {
  await using folder = await TemporaryFolder.create();
  const command = await prepare(folder);
  expect(await enroll(command, new FakeClock())).toBe("host-1");
  expect(requests).toMatchObject([{ token: TOKEN, os: "linux", arch: process.arch }]);
  expect(await loadIdentity(command.stateDir)).toEqual({ hostId: "host-1", credential: "credential-1" });
  expect((await stat(folder.join("state", "credential.json"))).mode & 0o777).toBe(0o600);
  expect((await stat(command.stateDir)).mode & 0o777).toBe(0o700);
  expect(JSON.parse(await readFile(command.configPath, "utf8"))).toEqual({
    servers: [server.address],
    ca_pem: server.caPem,
  });
});

test("an identity is not replaced unless forced, and no token is spent on finding out", async () => {
  await using folder = await TemporaryFolder.create();
  const command = await prepare(folder);
  await enroll(command, new FakeClock());
  expect(await refusal(command)).toContain("enrolled already");
  expect(requests).toHaveLength(1);
  await enroll({ ...command, force: true }, new FakeClock());
  expect((await loadIdentity(command.stateDir)).credential).toBe("credential-2");
});

test("a configuration that stands is used as it is; flags that contradict it are refused", async () => {
  await using folder = await TemporaryFolder.create();
  const command = await prepare(folder);
  await mkdir(folder.join("etc"));
  await writeFile(
    command.configPath,
    JSON.stringify({ servers: [server.address], ca_pem: server.caPem, hostname: "web-1" }),
  );
  expect(await refusal({ ...command, servers: ["elsewhere:1"] })).toContain("exists and says otherwise");
  await enroll({ ...command, servers: [], caFile: undefined }, new FakeClock());
  expect(requests).toMatchObject([{ hostname: "web-1" }]);
});

test.each<[string, Partial<EnrollCommand>, string]>([
  ["there is no token", { tokenSource: { kind: "environment" } }, "there is no token"],
  [
    "the token's file is absent",
    { tokenSource: { kind: "file", path: "/nonexistent/token" } },
    "cannot read the token",
  ],
  ["there is no configuration and no flag to write one", { servers: [] }, "there is no configuration"],
  ["a server is no address", { servers: ["https://a:1"] }, "must be HOST:PORT"],
  ["the certificate's file is none", { caFile: "/proc/version" }, "holds no certificate"],
  [
    "the state directory cannot be written",
    { stateDir: "/dev/null/state", force: true },
    "cannot write to the state directory",
  ],
])("enrolment stops before it asks the server when %s", async (_, changes, words) => {
  await using folder = await TemporaryFolder.create();
  expect(await refusal(await prepare(folder, changes))).toContain(words);
  expect(requests).toEqual([]);
});

test("a server's refusal is told in words, and no identity is stored", async () => {
  await using folder = await TemporaryFolder.create();
  const command = await prepare(folder);
  server.script.enroll = () => ({
    code: status.UNAUTHENTICATED,
    details: "the token is used up",
    refusal: { reason: Refusal_Reason.TOKEN_INVALID },
  });
  expect(await refusal(command)).toContain("UNAUTHENTICATED (token_invalid): the token is used up");
  await expect(loadIdentity(command.stateDir)).rejects.toThrow("this host has no identity");
});

test("a server that keeps silent is given up for the next, and named when there is none", async () => {
  await using folder = await TemporaryFolder.create();
  const held = new Set<Socket>();
  const silent = createServer((socket) => void held.add(socket.on("error", () => undefined)));
  silent.listen(0, "127.0.0.1");
  await once(silent, "listening");
  try {
    const address = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
    const alone = await prepare(folder, { servers: [address] });
    expect(await giveUpWaiting(alone)).toBe(`this host was not enrolled; ${address}: no answer within 30 s`);
    await rm(alone.configPath);
    const both = await prepare(folder, { servers: [address, server.address] });
    expect(await giveUpWaiting(both)).toBe("host-1");
    expect(requests).toHaveLength(1);
  } finally {
    for (const socket of held) socket.destroy();
    silent.close();
  }
});

test("an impostor gets no token", async () => {
  await using folder = await TemporaryFolder.create();
  const command = await prepare(folder);
  await writeFile(folder.join("ca.pem"), createTestAuthority().caPem);
  expect(await refusal(command)).toContain("UNAVAILABLE");
  expect(requests).toEqual([]);
});

test.each([
  ["others may read it", '{"host_id":"h","credential":"secret"}', 0o644, "may be read by others"],
  ["it is no JSON", '{"credential":"secret"', 0o600, "is damaged"],
  ["a field is missing", '{"credential":"secret"}', 0o600, "is damaged"],
])("a stored identity is refused without repeating it when %s", async (_, content, mode, words) => {
  await using folder = await TemporaryFolder.create();
  await writeFile(folder.join("credential.json"), content);
  await chmod(folder.join("credential.json"), mode);
  const error: Error = await loadIdentity(folder.path).then(
    () => new Error("it was accepted"),
    (caught: Error) => caught,
  );
  expect(error.message).toContain(words);
  expect(error.message).not.toContain("secret");
});

test("a host tells its labels, and a bad one stops it before the token is spent", async () => {
  await using folder = await TemporaryFolder.create();
  const command = await prepare(folder, { labels: ["site=lisbon", "role=web"] });
  await enroll(command, new FakeClock());
  expect(requests[0]?.labels).toMatchObject([
    { key: "site", value: "lisbon" },
    { key: "role", value: "web" },
  ]);
  await rm(command.stateDir, { recursive: true });
  requests.length = 0;
  expect(await refusal({ ...command, labels: ["lisbon"] })).toBe('--label "lisbon": it must be KEY=VALUE');
  expect(await refusal({ ...command, labels: ["Site=lisbon"] })).toContain('--label "Site=lisbon": its key');
  expect(await refusal({ ...command, labels: ["site=a", "site=b"] })).toContain("the key site is given twice");
  expect(requests).toEqual([]);
});
