import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { UpdatePhase, type FetchBlocksResponse } from "../../../gen/rollcall/v1/agent_pb.js";
import { JobReason, JobState, type Job } from "../../../gen/rollcall/v1/model_pb.js";
import { NEW_VERSION, startControlPlane, type ControlPlane } from "../../support/control-plane.ts";
import { untilFleetUpdateSettled } from "../../support/fleet-update-end.ts";
import { plainBlock } from "../../support/plain-block.ts";
import { ScriptedHost } from "../../support/scripted-host.ts";
import { buildVersionElf } from "../../support/tiny-elf.ts";

/** Seven blocks; the first shrinks to nearly nothing, like most of a program. */
const ARTIFACT = buildVersionElf(NEW_VERSION, 400_000);

let plane: ControlPlane;
beforeAll(async () => {
  plane = await startControlPlane({}, ARTIFACT);
});
afterAll(() => plane[Symbol.asyncDispose]());

/** Fetches blocks for a job. *Units*: bytes that came, as they went on the wire. */
async function fetchBlocks(host: ScriptedHost, jobId: string, first: number, count: number): Promise<number> {
  let bytes = 0;
  const call: AsyncIterable<FetchBlocksResponse> = host.agent.fetchBlocks(jobId, [{ first, count }]);
  for await (const block of call) {
    bytes += block.data.length;
    const start = block.index * 65_536;
    expect(plainBlock(block).equals(ARTIFACT.subarray(start, start + 65_536))).toBe(true);
  }
  return bytes;
}

/** Takes the next command to the commit after fetching so many blocks from the first on, and comes back updated. */
async function update(host: ScriptedHost, blockCount: number): Promise<{ jobId: string; bytes: number }> {
  const { jobId } = await host.commanded();
  const bytes = blockCount === 0 ? 0 : await fetchBlocks(host, jobId, 0, blockCount);
  host.stream.sendProgress({ jobId, phase: UpdatePhase.STAGED });
  for (;;) {
    const { message } = await host.stream.next();
    if (message.case === "commitUpdate") break;
  }
  await host.leave();
  await host.helloUpdated(jobId, NEW_VERSION);
  return { jobId, bytes };
}

const jobOf = async (jobId: string): Promise<Job | undefined> => (await plane.fleet.getJob({ jobId })).job;

async function updateOne(hostname: string, blockCount: number): Promise<{ job: Job | undefined; bytes: number }> {
  const host = await ScriptedHost.connect(plane, hostname);
  await plane.fleet.updateHost({ hostId: host.hostId });
  const { jobId, bytes } = await update(host, blockCount);
  await plane.untilEnded(jobId);
  return { job: await jobOf(jobId), bytes };
}

describe("what a job cost", () => {
  test("is what its host was sent, and what it did not have to be sent", async () => {
    const { job, bytes } = await updateOne("some", 2);
    expect(bytes).toBeGreaterThan(0);
    expect(job).toMatchObject({
      state: JobState.SUCCEEDED,
      bytesDelivered: BigInt(bytes),
      bytesSaved: BigInt(ARTIFACT.length - bytes),
    });
  });

  test("is nothing for a host that has everything", async () => {
    const { job } = await updateOne("all", 0);
    expect(job).toMatchObject({ bytesDelivered: 0n, bytesSaved: BigInt(ARTIFACT.length) });
  });

  test("adds up over broken downloads", async () => {
    const host = await ScriptedHost.connect(plane, "twice");
    const { job } = await plane.fleet.updateHost({ hostId: host.hostId });
    const jobId = job?.id ?? "";
    await host.commanded();
    const first = await fetchBlocks(host, jobId, 0, 7);
    expect(await jobOf(jobId)).toMatchObject({ bytesDelivered: BigInt(first), bytesSaved: 0n });
    const second = await fetchBlocks(host, jobId, 3, 4);
    expect(await jobOf(jobId)).toMatchObject({ bytesDelivered: BigInt(first + second), bytesSaved: 0n });
    host.stream.sendProgress({ jobId, phase: UpdatePhase.FAILED, reason: JobReason.PREFLIGHT_NO_SPACE });
    expect(await plane.untilEnded(jobId)).toMatchObject({
      state: JobState.FAILED,
      bytesDelivered: BigInt(first + second),
      bytesSaved: 0n,
    });
  });

  test("reaches those who watch with the change of the job, without one of its own", async () => {
    const host = await ScriptedHost.connect(plane, "watched");
    const leaving = new AbortController();
    const changes: Job[] = [];
    const watching = (async () => {
      for await (const { change } of plane.fleet.watchFleet({}, { signal: leaving.signal })) {
        if (change.case === "caughtUp") await plane.fleet.updateHost({ hostId: host.hostId });
        if (change.case === "job" && change.value.hostId === host.hostId) changes.push(change.value);
        if (changes.at(-1)?.state === JobState.SUCCEEDED) break;
      }
    })();
    const { bytes } = await update(host, 3);
    await watching;
    leaving.abort();
    expect(changes.at(-1)).toMatchObject({ bytesDelivered: BigInt(bytes) });
    const states = changes.map(({ state }) => state);
    expect(states).toEqual([...new Set(states)]);
  });
});

test("a fleet update is the sum of its jobs, and the total that of all", async () => {
  const hosts = [];
  for (const name of ["fleet-1", "fleet-2", "fleet-3"]) hosts.push(await ScriptedHost.connect(plane, name));
  const { fleetUpdate } = await plane.fleet.startFleetUpdate({ hostIds: hosts.map(({ hostId }) => hostId) });
  expect(fleetUpdate).toMatchObject({ bytesDelivered: 0n, bytesSaved: 0n });
  let bytes = 0n;
  for (const [position, host] of hosts.entries()) bytes += BigInt((await update(host, position)).bytes);
  const settled = await untilFleetUpdateSettled(plane.fleet, fleetUpdate?.id ?? "");
  const sums = { bytesDelivered: bytes, bytesSaved: 3n * BigInt(ARTIFACT.length) - bytes };
  expect(settled.fleetUpdate).toMatchObject(sums);
  const { fleetUpdates } = await plane.fleet.listFleetUpdates({});
  expect(fleetUpdates[0]).toMatchObject({ id: fleetUpdate?.id, ...sums });

  const { jobs } = await plane.fleet.listJobs({});
  expect(await plane.fleet.getDelivery({})).toMatchObject({
    bytesDelivered: jobs.reduce((sum, job) => sum + job.bytesDelivered, 0n),
    bytesSaved: jobs.reduce((sum, job) => sum + job.bytesSaved, 0n),
    active: 0,
    waiting: 0,
  });
});
