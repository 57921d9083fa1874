/** A fleet update that has far less bandwidth than it needs, on a real server with real streams. */
import { createCipheriv } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { BlockEncoding, UpdatePhase, type FetchBlocksResponse } from "../../gen/rollcall/v1/agent_pb.js";
import { FleetUpdateState } from "../../gen/rollcall/v1/rollout_pb.js";
import { hostStates, untilFleetUpdateSettled } from "../support/fleet-update-end.ts";
import { NEW_VERSION, startControlPlane, type ControlPlane } from "../support/control-plane.ts";
import { plainBlock } from "../support/plain-block.ts";
import { realClock } from "../support/real-clock.ts";
import { ScriptedHost } from "../support/scripted-host.ts";

/** Four blocks that do not shrink. */
const ARTIFACT = createCipheriv("aes-128-ctr", Buffer.alloc(16), Buffer.alloc(16)).update(Buffer.alloc(262_144));
const HOSTS = 8;
/** A job without progress for this long fails. The last host waits for twice as long. */
const PROGRESS_DEADLINE_MS = 3_000;

let plane: ControlPlane;
beforeAll(async () => {
  plane = await startControlPlane({ progressDeadlineMs: PROGRESS_DEADLINE_MS }, ARTIFACT, {
    ROLLCALL_DELIVERY_MAX_CONCURRENT: "2",
    ROLLCALL_DELIVERY_BYTES_PER_SECOND: String(ARTIFACT.length),
  });
});
afterAll(() => plane[Symbol.asyncDispose]());

/** Takes the next command to its end. *Units*: milliseconds from asking for blocks to the first one. */
async function update(host: ScriptedHost, onBlock: () => void): Promise<number> {
  const { jobId } = await host.commanded();
  const bytesTotal = BigInt(ARTIFACT.length);
  host.stream.sendProgress({ jobId, phase: UpdatePhase.DOWNLOADING, bytesTotal });
  const blocks: Buffer[] = [];
  const askedAtMs = realClock.monotonicMs();
  let firstAtMs: number | undefined;
  const call: AsyncIterable<FetchBlocksResponse> = host.agent.fetchBlocks(jobId, [{ first: 0, count: 4 }]);
  for await (const block of call) {
    if (block.encoding === BlockEncoding.UNSPECIFIED) continue;
    firstAtMs ??= realClock.monotonicMs();
    blocks.push(plainBlock(block));
    onBlock();
    const bytesDone = BigInt(blocks.length * 65_536);
    host.stream.sendProgress({ jobId, phase: UpdatePhase.DOWNLOADING, bytesDone, bytesTotal });
  }
  expect(Buffer.concat(blocks).equals(ARTIFACT)).toBe(true);
  host.stream.sendProgress({ jobId, phase: UpdatePhase.STAGED });
  for (;;) {
    const { message } = await host.stream.next();
    if (message.case === "commitUpdate") break;
  }
  await host.leave();
  await host.helloUpdated(jobId, NEW_VERSION);
  return (firstAtMs ?? Number.NaN) - askedAtMs;
}

test("every host gets its turn, no job fails for waiting, and sessions go on", async () => {
  const hosts = await Promise.all(
    Array.from({ length: HOSTS }, (_, number) => ScriptedHost.connect(plane, `host-${number}`)),
  );
  const bystander = await ScriptedHost.connect(plane, "bystander", NEW_VERSION);
  const counts: { active: number; waiting: number }[] = [];
  // Whenever a block came: others are heard, somebody comes and goes, and the API answers.
  let meanwhile = Promise.resolve();
  const onBlock = (): void => {
    meanwhile = meanwhile.then(async () => {
      for (const host of hosts) host.stream.sendHeartbeat();
      await bystander.leave();
      await bystander.hello({ agentVersion: NEW_VERSION });
      const { active, waiting } = await plane.fleet.getDelivery({});
      counts.push({ active, waiting });
    });
  };
  const updates = hosts.map((host) => update(host, onBlock));
  const { fleetUpdate } = await plane.fleet.startFleetUpdate({
    hostIds: hosts.map(({ hostId }) => hostId),
    policy: { maxInFlight: HOSTS },
  });
  const waitedMs = await Promise.all(updates);
  await meanwhile;
  const end = await untilFleetUpdateSettled(plane.fleet, fleetUpdate?.id ?? "");
  expect(hostStates(end)).toEqual(hosts.map(({ hostname }) => `${hostname} SUCCEEDED`));
  expect(end.fleetUpdate).toMatchObject({
    state: FleetUpdateState.COMPLETED,
    bytesDelivered: BigInt(HOSTS * ARTIFACT.length),
    bytesSaved: 0n,
  });
  expect(Math.max(...waitedMs)).toBeGreaterThan(1.5 * PROGRESS_DEADLINE_MS);
  expect(Math.max(...counts.map(({ active }) => active))).toBe(2);
  expect(Math.max(...counts.map(({ waiting }) => waiting))).toBeGreaterThanOrEqual(4);
  expect(counts).toHaveLength(4 * HOSTS);
}, 60_000);
