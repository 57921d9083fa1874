import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../../agent/clock-system.ts";
import { CROWD_VERSION, gatherCrowd, type Crowd } from "../crowd.ts";
import { Generators } from "../load/generators.ts";
import { Peer, type PeerName } from "./peer.ts";

const AGENTS = 6;
const { signal } = new AbortController();
let crowd: Crowd;

beforeAll(async () => {
  crowd = await gatherCrowd(AGENTS, signal);
}, 120_000);

afterAll(async () => {
  await crowd[Symbol.asyncDispose]();
});

/** The peer with every agent of the crowd connected to it. */
async function connectTo(name: PeerName, parts: AsyncDisposableStack) {
  const peer = parts.use(await Peer.start(name, crowd, signal));
  const generators = parts.use(new Generators(signal));
  await generators.gather(peer.target, CROWD_VERSION, crowd.hosts);
  expect(await generators.connect({ atATime: 2, spreadMs: 0 })).toEqual({ welcomed: AGENTS, failures: {} });
  return { peer, generators };
}

/** Commands that came, once there are so many. */
async function untilCommanded(generators: Generators, count: number): Promise<number> {
  let commands = 0;
  while (commands < count) {
    await systemClock.sleep(20);
    commands += (await generators.sightings()).commandsAtMs.length;
  }
  return commands;
}

test.each(["grpc echo", "ws echo", "listener"] as const)(
  "%s welcomes every agent and commands each once",
  async (name) => {
    await using parts = new AsyncDisposableStack();
    const { peer, generators } = await connectTo(name, parts);
    expect(await peer.count()).toBe(AGENTS);
    expect(new Set((await generators.sessions()).map(({ epoch }) => epoch)).size).toBe(AGENTS);
    await peer.push();
    expect(await untilCommanded(generators, AGENTS)).toBe(AGENTS);
    await generators.drop();
    while ((await peer.count()) > 0) await systemClock.sleep(20);
  },
  60_000,
);

test("the bare echo takes every agent through a restart, two at a time", async () => {
  await using parts = new AsyncDisposableStack();
  const { peer, generators } = await connectTo("grpc echo", parts);
  await generators.obey({ kind: "restart", restartMs: 10 });
  await peer.roll(2);
  const epochs = (await generators.sessions()).map(({ epoch }) => Number(epoch));
  expect(Math.min(...epochs)).toBeGreaterThan(AGENTS);
}, 60_000);

test("an order to a peer that is gone fails", async () => {
  const peer = await Peer.start("ws echo", crowd, signal);
  await peer[Symbol.asyncDispose]();
  await expect(peer.count()).rejects.toThrow(/closed|ended/i);
}, 60_000);
