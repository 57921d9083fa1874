/**
 * Deliveries over a network that breaks half of the connections, each at a random
 * byte: real sessions over real TLS and TCP, and a server that writes down what it
 * is asked for.
 */
import { afterAll, expect, test } from "vitest";
import { SESSION_LOOP_LIMITS } from "../../../agent/stream/session-loop.ts";
import { UPDATE_LIMITS } from "../../../agent/updater/update-limits.ts";
import { UpdatePhase } from "../../../gen/rollcall/v1/agent_pb.js";
import { startBreakingProxy, type BreakingProxy } from "../../support/breaking-proxy.ts";
import { createTestAuthority, startFakeAgentServer, type FakeAgentServer } from "../../support/fake-agent-server.ts";
import { FewAtATime } from "../../support/few-at-a-time.ts";
import { MemoryHost } from "../../support/memory-host.ts";
import { createOffer, type Offer } from "../../support/offered-release.ts";
import { seededRandom } from "../../support/seeded-random.ts";
import { buildVersionElf } from "../../support/tiny-elf.ts";
import type { FakePlatform } from "../fake-platform.ts";
import { findOpenSockets } from "../open-sockets.ts";
import { JOB_ID } from "../update-harness.ts";

const SEED = 20_261_124;
const DELIVERIES = 16;
const AT_ONCE = 2;
const SIZE_BYTES = 4 * 1024 * 1024;
const BLOCK_BYTES = 16 * 1024;
/** *Source*: FLOW_CONTROL_WINDOW_BYTES in agent/stream/channel.ts. */
const WINDOW_BYTES = 512 * 1024;
/** Handshake, frames of TLS, HTTP/2 and gRPC, and the block that a break cuts in two. */
const OVERHEAD = { fixedBytes: 16 * 1024 + BLOCK_BYTES, share: 0.02 } as const;

const AUTHORITY = createTestAuthority();
const PAUSE_MS = 10;
const LOOP_LIMITS = {
  ...SESSION_LOOP_LIMITS,
  goodSessionMs: 0,
  backoff: { firstMs: PAUSE_MS, greatestMs: PAUSE_MS, greatestUrgentMs: PAUSE_MS, turnedAwayMs: PAUSE_MS },
};
const LIMITS = { ...UPDATE_LIMITS, fetch: { ...UPDATE_LIMITS.fetch, pauseMs: PAUSE_MS } };

afterAll(async () => expect(await findOpenSockets()).toEqual([]));

/** What the server was asked for, and what the agent had verified by then. */
interface Request {
  readonly asked: readonly number[];
  readonly verified: readonly number[];
  /** Connections that came before it, its own included. */
  readonly connectionCount: number;
}

interface Delivery {
  readonly requests: readonly Request[];
  readonly written: readonly number[];
  readonly staged: Buffer | undefined;
  readonly connections: BreakingProxy["connections"];
}

async function deliver(offer: Offer, chooseBreak: () => number | undefined): Promise<Delivery> {
  await using server = await startFakeAgentServer(AUTHORITY);
  const port = Number(server.address.split(":")[1]);
  await using proxy = await startBreakingProxy(port, chooseBreak);
  const requests: Request[] = [];
  let platform: FakePlatform | undefined;
  const { script } = server;
  script.fetchManifest = () => ({
    manifest: offer.manifest.bytes,
    signature: offer.manifest.signature,
    keys: offer.keySet.bytes,
    keysSignature: offer.keySet.signature,
    blockList: offer.blockList,
  });
  script.fetchBlocks = async function* (request) {
    requests.push({
      asked: request.ranges.flatMap(({ first, count }) => Array.from({ length: count }, (_, offset) => first + offset)),
      verified: [...(platform?.written ?? [])],
      connectionCount: proxy.connections.length,
    });
    yield* offer.sendBlocks(request);
  };
  await using _host = new MemoryHost({
    hostname: "host",
    version: "1.0.0",
    servers: [proxy.address],
    caPem: AUTHORITY.caPem,
    credential: "credential",
    restartMs: PAUSE_MS,
    loopLimits: LOOP_LIMITS,
    updateLimits: LIMITS,
    prepare: (prepared) => (platform = prepared),
  });
  await commandUntilStaged(server, offer);
  return {
    requests,
    written: platform?.written ?? [],
    staged: platform?.staged,
    connections: [...proxy.connections],
  };
}

/** Welcomes each session and repeats the command on it, as a server does, until one tells of the stage. */
async function commandUntilStaged(server: FakeAgentServer, offer: Offer): Promise<void> {
  for (let epoch = 1n; ; epoch += 1n) {
    const connection = await server.connections.take();
    const staged = connection.progress(({ value }) => value.phase === UpdatePhase.STAGED).then(() => true);
    connection.welcome(epoch);
    connection.send({
      case: "commandUpdate",
      value: {
        jobId: JOB_ID,
        package: "rollcall-agent",
        fromVersion: "1.0.0",
        toVersion: offer.toVersion,
        manifestSha256: offer.manifestSha256,
      },
    });
    if (await Promise.race([staged, connection.closed.then(() => false)])) return;
  }
}

/** Bytes that came over connections that broke and had to come again, a break. */
function listLosses({ requests, written, connections }: Delivery): readonly number[] {
  const verifiedCounts = [...requests.slice(1).map(({ verified }) => verified.length), written.length];
  return requests.flatMap((request, index) => {
    const connection = connections[request.connectionCount - 1];
    const kept = ((verifiedCounts[index] ?? 0) - request.verified.length) * BLOCK_BYTES;
    return connection?.isBroken === true ? [connection.bytesDown * (1 - OVERHEAD.share) - kept] : [];
  });
}

test("deliveries complete over connections half of which break, and ask for no verified block twice", async () => {
  const random = seededRandom(SEED);
  const program = buildVersionElf("2.0.0", SIZE_BYTES);
  const offer = createOffer({ program });
  const chooseBreak = (): number | undefined =>
    random.between(0, 1) < 0.5 ? Math.floor(random.between(1, SIZE_BYTES)) : undefined;
  const fewAtATime = new FewAtATime(AT_ONCE);
  const deliveries = await Promise.all(
    Array.from({ length: DELIVERIES }, () => fewAtATime.run(() => deliver(offer, chooseBreak))),
  );
  for (const { requests, written, staged } of deliveries) {
    expect(staged?.equals(program)).toBe(true);
    expect(written.toSorted((one, other) => one - other)).toEqual([...Array(SIZE_BYTES / BLOCK_BYTES).keys()]);
    for (const { asked, verified } of requests) {
      const known = new Set(verified);
      expect(asked.filter((index) => known.has(index))).toEqual([]);
      expect(asked.length + verified.length).toBe(SIZE_BYTES / BLOCK_BYTES);
    }
  }
  const losses = deliveries.flatMap(listLosses);
  expect(losses.length).toBeGreaterThan(4);
  for (const lost of losses) expect(lost).toBeLessThanOrEqual(WINDOW_BYTES + OVERHEAD.fixedBytes);
  // On a busy machine a delivery now and then stands still for half a minute before its connection is given up.
}, 180_000);
