import { create } from "@bufbuild/protobuf";
import { writeFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { keepServerAccess, openServerAccess, type ServerAccess } from "../../agent/access-file.ts";
import { AccessKeeper } from "../../agent/access-keeper.ts";
import { systemClock } from "../../agent/clock-system.ts";
import { parseConfig } from "../../agent/config.ts";
import { canReach } from "../../agent/reach.ts";
import { ServerAccessSchema } from "../../gen/rollcall/v1/agent_pb.js";
import { createTestAuthority, startFakeAgentServer } from "../support/fake-agent-server.ts";
import { FakeClock } from "./fake-clock.ts";
import { RecordingLog } from "./recording-log.ts";
import { TemporaryFolder } from "./temporary-folder.ts";

const OLD = createTestAuthority();
const NEW = createTestAuthority();
const HEARTBEAT_MS = 1_000;
const RETRY_MS = 40 * HEARTBEAT_MS;
const never = new AbortController().signal;

/** A keeper on a configuration that names `old:1`, whose way to other servers a test opens and shuts. */
function createKeeper(canReachNow: (access: ServerAccess) => Promise<boolean>) {
  const clock = new FakeClock();
  const log = new RecordingLog();
  const kept: ServerAccess[] = [];
  const keeper = new AccessKeeper({
    access: { servers: ["old:1"], roots: Buffer.from(OLD.caPem) },
    canReach: canReachNow,
    keep: async (access) => void kept.push(access),
    clock,
    random: { next: () => 0.5, uuid: () => "" },
    log,
  });
  const tell = (servers: readonly string[], authoritiesPem = "", signal = never): Promise<void> =>
    keeper.told(create(ServerAccessSchema, { servers: [...servers], authoritiesPem }), HEARTBEAT_MS, signal);
  return { clock, log, kept, keeper, tell };
}

describe("what a server says of itself", () => {
  test("holds, durably, once it was answered there, and is tried again until then", async () => {
    let isUp = false;
    const { clock, log, kept, keeper, tell } = createKeeper(async () => isUp);
    const told = tell(["new:1"], OLD.caPem + NEW.caPem);
    await clock.untilSleeping((delayMs) => delayMs === HEARTBEAT_MS);
    clock.advance(HEARTBEAT_MS);
    await log.until("server_access_not_answered");
    expect(keeper.servers).toEqual(["old:1"]);
    expect(keeper.roots.toString()).toBe(OLD.caPem);
    isUp = true;
    await clock.untilSleeping((delayMs) => delayMs === RETRY_MS);
    clock.advance(RETRY_MS);
    await told;
    expect(keeper.servers).toEqual(["new:1"]);
    expect(kept).toEqual([{ servers: ["new:1"], roots: keeper.roots }]);
  });

  test("is tried no longer once the session ended", async () => {
    const { clock, keeper, tell } = createKeeper(async () => true);
    const session = new AbortController();
    const told = tell(["new:1"], "", session.signal);
    session.abort(new Error("the session ended"));
    await told;
    expect(keeper.servers).toEqual(["old:1"]);
    expect(clock.sleeping).toEqual([]);
  });

  test.each([
    ["the same again", ["old:1"], OLD.caPem],
    ["nothing", [], ""],
    ["no server", ["new"], ""],
    ["too many servers", Array.from({ length: 17 }, (_, index) => `new:${index + 1}`), ""],
    ["no certificate", [], "trust me"],
    ["a certificate that is no authority's", [], OLD.certPem],
  ])("changes nothing when it is %s", async (_, servers, pem) => {
    const { keeper, tell } = createKeeper(async () => true);
    const { servers: before } = keeper;
    await tell(servers, pem);
    expect(keeper.servers).toBe(before);
    expect(keeper.roots.toString()).toBe(OLD.caPem);
  });
});

test("only a server that what was said vouches for counts as an answer", async () => {
  await using server = await startFakeAgentServer(NEW);
  const ask = (pem: string) =>
    canReach({ servers: [server.address], roots: Buffer.from(pem) }, () => undefined, systemClock);
  expect(await ask(OLD.caPem)).toBe(false);
  expect(await ask(OLD.caPem + NEW.caPem)).toBe(true);
}, 20_000);

describe("what is kept", () => {
  const adopted = { servers: ["new:1"], roots: Buffer.from(NEW.caPem) };
  const configure = (servers: readonly string[], more: object = {}) =>
    parseConfig(JSON.stringify({ servers, ca_pem: OLD.caPem, ...more }), "agent.json");

  test("takes the place of the configuration, until that is changed or says to stay", async () => {
    await using folder = await TemporaryFolder.create();
    const paths = { configPath: folder.join("agent.json"), stateDir: folder.path };
    const config = configure(["old:1"]);
    expect((await openServerAccess(config, paths)).servers).toEqual(["old:1"]);
    await keepServerAccess(adopted, config, paths);
    expect(await openServerAccess(config, paths)).toEqual(adopted);
    const stays = configure(["old:1"], { follow_server: false });
    expect((await openServerAccess(stays, paths)).servers).toEqual(["old:1"]);
    expect(await openServerAccess(configure(["other:1"]), paths)).toEqual({
      servers: ["other:1"],
      roots: Buffer.from(OLD.caPem),
    });
  });

  test.each(["", "{", "null", '{"servers":["new:1"]}'])("is nothing when it is damaged: %s", async (text) => {
    await using folder = await TemporaryFolder.create();
    await writeFile(folder.join("server-access.json"), text);
    const paths = { configPath: folder.join("agent.json"), stateDir: folder.path };
    expect((await openServerAccess(configure(["old:1"]), paths)).servers).toEqual(["old:1"]);
  });
});
