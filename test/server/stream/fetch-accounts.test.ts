import { once } from "node:events";
import { rmSync } from "node:fs";
import { status as Status } from "@grpc/grpc-js";
import { afterAll, expect, test } from "vitest";
import { endOf } from "../../support/scripted-agent.ts";
import { artifactFolder, BLOCK, collect, deliver, expectCleanFiles } from "./delivered-artifact.ts";
import { openResources } from "./open-resources.ts";
import { eventually, expectClean, JOB, startListener } from "./test-listener.ts";

test("what a call sent is written down before it ends, by one statement", async () => {
  await using server = await startListener();
  deliver(server, 10 * BLOCK);
  using agent = server.agent();
  let atEnd: number | undefined;
  const call = agent.fetchBlocks(JOB, [{ first: 2, count: 5 }]);
  call.on("status", () => {
    atEnd = server.accounts.delivered.get(JOB);
  });
  const { blocks } = await collect(call);
  expect(blocks.reduce((sum, { data }) => sum + data.length, 0)).toBe(5 * BLOCK);
  expect(atEnd).toBe(5 * BLOCK);
  expect(server.accounts.calls).toBe(1);
  await expectCleanFiles(server);
});

test("a long call writes down what it sent every 5 s", async () => {
  await using server = await startListener({}, { bytesPerSecond: BLOCK });
  deliver(server, 20 * BLOCK);
  using agent = server.agent();
  let received = 0;
  const call = agent.fetchBlocks(JOB, [{ first: 0, count: 20 }]);
  const end = endOf(call);
  call.on("data", () => (received += 1));
  await eventually(() => received === 1);
  for (let second = 1; second < 20; second += 1) {
    server.clock.advance(1_000);
    await eventually(() => received === second + 1);
  }
  expect((await end).code).toBe(Status.OK);
  expect(server.accounts.delivered.get(JOB)).toBe(20 * BLOCK);
  expect(server.accounts.calls).toBe(4);
  await expectCleanFiles(server);
});

test("a call that breaks off writes down what was sent", async () => {
  await using server = await startListener();
  deliver(server, 32 * 1_048_576);
  using agent = server.agent();
  const call = agent.fetchBlocks(JOB, [{ first: 0, count: 512 }]);
  const end = endOf(call);
  await once(call, "data");
  call.cancel();
  await end;
  await eventually(() => server.listener.counts.transfers === 0 && server.accounts.calls > 0);
  expect(server.accounts.delivered.get(JOB) ?? 0).toBeGreaterThanOrEqual(BLOCK);
  await expectCleanFiles(server);
});

test("a delivery succeeds although it cannot be written down, and the log says so", async () => {
  await using server = await startListener();
  deliver(server, 2 * BLOCK);
  server.accounts.error = new Error("the database is away");
  using agent = server.agent();
  const { blocks, end } = await collect(agent.fetchBlocks(JOB, [{ first: 0, count: 2 }]));
  expect(end.code).toBe(Status.OK);
  expect(blocks).toHaveLength(2);
  expect(server.log.entries.map(({ where }) => where)).toEqual(["writing down what was delivered"]);
  await expectClean(server);
});

test("what another server or an earlier process sent counts against the job", async () => {
  await using server = await startListener();
  const { delivery } = deliver(server, 10 * BLOCK);
  server.deliveries.delivery = { ...delivery, bytesDelivered: 19 * BLOCK };
  using agent = server.agent();
  expect((await collect(agent.fetchBlocks(JOB, [{ first: 0, count: 2 }]))).end).toMatchObject({
    code: Status.RESOURCE_EXHAUSTED,
    details: `this job may fetch ${BLOCK} more bytes, not ${2 * BLOCK}: twice the artifact in all`,
  });
  expect((await collect(agent.fetchBlocks(JOB, [{ first: 0, count: 1 }]))).end.code).toBe(Status.OK);
  await expectCleanFiles(server);
});

afterAll(async () => {
  rmSync(artifactFolder, { recursive: true });
  await eventually(() => openResources().length === 0);
});
