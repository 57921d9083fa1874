import { createHash } from "node:crypto";
import { once } from "node:events";
import { rmSync, truncateSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { status as Status, type ServiceError } from "@grpc/grpc-js";
import { afterAll, describe, expect, test } from "vitest";
import { BlockEncoding } from "../../../gen/rollcall/v1/agent_pb.js";
import { Refusal_Reason } from "../../../gen/rollcall/v1/model_pb.js";
import { RefusedError } from "../../../server/domain/errors.ts";
import { endOf, toCallEnd } from "../../support/scripted-agent.ts";
import { artifactFolder, BLOCK, collect, deliver, expectCleanFiles, openArtifacts } from "./delivered-artifact.ts";
import { openResources } from "./open-resources.ts";
import { startProxy } from "./tcp-proxy.ts";
import { eventually, HOST, JOB, OTHER_HOST, startListener } from "./test-listener.ts";

/** What Buffers take, those left to the garbage collector excluded. */
function bytesInBuffers(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  return process.memoryUsage().arrayBuffers;
}

describe("FetchManifest", () => {
  test("gives manifest, signature and block list of the host's own job alone", async () => {
    await using server = await startListener();
    const { delivery } = deliver(server, 100_000);
    using agent = server.agent();
    const { manifest, signature, blockList } = await agent.fetchManifest(JOB);
    expect(Buffer.from(manifest)).toEqual(delivery.manifest);
    expect(Buffer.from(signature)).toEqual(delivery.signature);
    expect(Buffer.from(blockList)).toEqual(delivery.blockList);
    using other = server.agent(OTHER_HOST);
    const end = await other.fetchManifest(JOB).catch((error: ServiceError) => toCallEnd(error));
    expect(end).toMatchObject({ code: Status.FAILED_PRECONDITION, refusal: { reason: Refusal_Reason.NOT_IN_JOB } });
    const wrong = await agent.fetchManifest("x").catch((error: ServiceError) => toCallEnd(error));
    expect(wrong).toMatchObject({ code: Status.INVALID_ARGUMENT, invalidField: { field: "jobId" } });
    await expectCleanFiles(server);
  });
});

describe("FetchBlocks", () => {
  test("gives the whole artifact, byte for byte", async () => {
    await using server = await startListener();
    const { content } = deliver(server, 5 * 1_048_576 + 12_345);
    using agent = server.agent();
    const { blocks, end } = await collect(agent.fetchBlocks(JOB, [{ first: 0, count: 81 }]));
    expect(end.code).toBe(Status.OK);
    expect(blocks.map((block) => block.index)).toEqual(Array.from({ length: 81 }, (_, index) => index));
    expect(blocks.every((block) => block.encoding === BlockEncoding.IDENTITY)).toBe(true);
    const digest = createHash("sha256");
    for (const block of blocks) digest.update(block.data);
    expect(digest.digest("hex")).toBe(createHash("sha256").update(content).digest("hex"));
    await expectCleanFiles(server);
  });

  test("gives ranges in the order they are asked for", async () => {
    await using server = await startListener();
    const { content } = deliver(server, 40 * BLOCK + 1);
    using agent = server.agent();
    const { blocks, end } = await collect(
      agent.fetchBlocks(JOB, [
        { first: 39, count: 2 },
        { first: 0, count: 1 },
        { first: 7, count: 20 },
        { first: 0, count: 1 },
      ]),
    );
    expect(end.code).toBe(Status.OK);
    expect(blocks.map((block) => block.index)).toEqual([
      39,
      40,
      0,
      ...Array.from({ length: 20 }, (_, index) => 7 + index),
      0,
    ]);
    for (const block of blocks)
      expect(content.subarray(block.index * BLOCK, (block.index + 1) * BLOCK).equals(block.data)).toBe(true);
    await expectCleanFiles(server);
  });

  test("refuses blocks that the artifact does not have, and names the field", async () => {
    await using server = await startListener();
    deliver(server, 3 * BLOCK);
    using agent = server.agent();
    const cases = [
      { ranges: [], field: "ranges" },
      { ranges: [{ first: 3, count: 1 }], field: "ranges[0].first" },
      {
        ranges: [
          { first: 0, count: 1 },
          { first: 2, count: 2 },
        ],
        field: "ranges[1].count",
      },
      { ranges: [{ first: 0, count: 0 }], field: "ranges[0].count" },
      { ranges: [{ first: 8_192, count: 1 }], field: "ranges[0].first" },
      { ranges: [{ first: 0, count: 4_294_967_295 }], field: "ranges[0].count" },
    ];
    for (const { ranges, field } of cases) {
      const { blocks, end } = await collect(agent.fetchBlocks(JOB, ranges));
      expect.soft(end, field).toMatchObject({ code: Status.INVALID_ARGUMENT, invalidField: { field } });
      expect(blocks).toHaveLength(0);
    }
    await expectCleanFiles(server);
  });

  test("is for the host's own open job", async () => {
    await using server = await startListener();
    deliver(server, BLOCK);
    using other = server.agent(OTHER_HOST);
    const { end } = await collect(other.fetchBlocks(JOB, [{ first: 0, count: 1 }]));
    expect(end).toMatchObject({ code: Status.FAILED_PRECONDITION, refusal: { reason: Refusal_Reason.NOT_IN_JOB } });
    await expectCleanFiles(server);
  });

  test("gives each job twice its artifact and no more", async () => {
    await using server = await startListener();
    deliver(server, 10 * BLOCK);
    using agent = server.agent();
    for (let round = 0; round < 2; round += 1) {
      // The frames around the blocks are not held against the job.
      expect((await collect(agent.fetchBlocks(JOB, [{ first: 0, count: 10 }]))).end.code).toBe(Status.OK);
    }
    const { blocks, end } = await collect(agent.fetchBlocks(JOB, [{ first: 0, count: 1 }]));
    expect(end).toMatchObject({
      code: Status.RESOURCE_EXHAUSTED,
      details: "this job may fetch 0 more bytes, not 65536: twice the artifact in all",
    });
    expect(blocks).toHaveLength(0);
    await expectCleanFiles(server);
  });

  test("closes the artifact when it is abandoned midway", async () => {
    await using server = await startListener();
    deliver(server, 32 * 1_048_576);
    using agent = server.agent();
    const call = agent.fetchBlocks(JOB, [{ first: 0, count: 512 }]);
    const end = endOf(call);
    await once(call, "data");
    expect(openArtifacts()).toBe(1);
    call.cancel();
    expect((await end).code).toBe(Status.CANCELLED);
    await expectCleanFiles(server);
  });

  test("reads no further than its agent takes", async () => {
    await using server = await startListener();
    await using proxy = await startProxy(server.listener.address.port);
    deliver(server, 64 * 1_048_576);
    using agent = server.agent(HOST, { address: proxy.address });
    server.deliveries.hosts.add(OTHER_HOST);
    const before = bytesInBuffers();
    const call = agent.fetchBlocks(JOB, [{ first: 0, count: 1_024 }]);
    const end = endOf(call);
    await once(call, "data");
    call.pause();
    proxy.freeze();
    // While this whole artifact goes past it, the stalled one has all the time to be read too far.
    using other = server.agent(OTHER_HOST);
    for await (const block of other.fetchBlocks(JOB, [{ first: 0, count: 1_024 }])) expect(block).toBeDefined();
    expect(bytesInBuffers() - before).toBeLessThan(16 * 1_048_576);
    expect(server.listener.counts.transfers).toBe(1);
    server.clock.advance(3_600_000);
    await server.clock.scheduled(5_000);
    server.clock.advance(5_000);
    await eventually(() => server.listener.counts.connections === 1);
    call.cancel();
    await end;
    await expectCleanFiles(server);
  });

  test("is ended by a newer one of the same host, and by a disconnect", async () => {
    await using server = await startListener();
    await using proxy = await startProxy(server.listener.address.port);
    deliver(server, 32 * 1_048_576);
    using stalled = server.agent(HOST, { address: proxy.address });
    const older = stalled.fetchBlocks(JOB, [{ first: 0, count: 512 }]);
    const olderEnd = endOf(older);
    await once(older, "data");
    proxy.freeze();
    using agent = server.agent();
    const newer = await collect(agent.fetchBlocks(JOB, [{ first: 0, count: 16 }]));
    expect(newer.end.code).toBe(Status.OK);
    await server.clock.scheduled(5_000);
    server.clock.advance(5_000);
    await eventually(() => server.listener.counts.connections === 1);
    older.cancel();
    expect((await olderEnd).code).not.toBe(Status.OK);
    const last = agent.fetchBlocks(JOB, [{ first: 0, count: 256 }]);
    const lastEnd = endOf(last);
    await once(last, "data");
    server.listener.disconnect(HOST, new RefusedError("host_unknown", "this host was removed"));
    last.resume();
    expect(await lastEnd).toMatchObject({ code: Status.NOT_FOUND, details: "this host was removed" });
    await expectCleanFiles(server);
  });

  test("says at once that the artifact is gone or cut, and nothing else of the server", async () => {
    await using server = await startListener();
    const { delivery } = deliver(server, 4 * BLOCK);
    const damaged = {
      code: Status.FAILED_PRECONDITION,
      details: "The release's file on the server is missing or damaged. Import the release again.",
      refusal: { reason: Refusal_Reason.RELEASE_INVALID },
    };
    truncateSync(delivery.artifactPath, BLOCK);
    using agent = server.agent();
    const cut = await collect(agent.fetchBlocks(JOB, [{ first: 0, count: 1 }]));
    expect(cut.end).toMatchObject(damaged);
    rmSync(delivery.artifactPath);
    const gone = await collect(agent.fetchBlocks(JOB, [{ first: 0, count: 4 }]));
    expect(gone.end).toMatchObject(damaged);
    await expectCleanFiles(server);
  });

  test("says so when the artifact is cut while it is sent", async () => {
    await using server = await startListener();
    const { delivery } = deliver(server, 64 * 1_048_576);
    using agent = server.agent();
    const call = agent.fetchBlocks(JOB, [{ first: 0, count: 1_024 }]);
    const end = endOf(call);
    await once(call, "data");
    call.pause();
    truncateSync(delivery.artifactPath, BLOCK);
    call.resume();
    expect(await end).toMatchObject({ code: Status.FAILED_PRECONDITION });
    await expectCleanFiles(server);
  });
});

afterAll(async () => {
  expect(openArtifacts()).toBe(0);
  rmSync(artifactFolder, { recursive: true });
  await eventually(() => openResources().length === 0);
});
