import { randomUUID } from "node:crypto";
import { status as Status } from "@grpc/grpc-js";
import { afterAll, beforeAll, expect, test } from "vitest";
import { AlertKind } from "../../../gen/rollcall/v1/attention_pb.js";
import { JobReason, JobState, Refusal_Reason } from "../../../gen/rollcall/v1/model_pb.js";
import { findOpenSockets } from "../../agent/open-sockets.ts";
import { startControlPlane, type ControlPlane } from "../../support/control-plane.ts";
import { refusalOf } from "../../support/refusal-of.ts";
import { endOf, toCallEnd, validHello } from "../../support/scripted-agent.ts";
import { ScriptedHost } from "../../support/scripted-host.ts";

/** What a removed host's agent may take to hear of it. */
const STREAM_END_MS = 1_000;

let plane: ControlPlane;
beforeAll(async () => {
  plane = await startControlPlane();
});
afterAll(async () => {
  await plane[Symbol.asyncDispose]();
  expect(await findOpenSockets()).toEqual([]);
});

test("a removed host's stream ends within a second, and its credential opens no other", async () => {
  const host = await ScriptedHost.connect(plane, "removed");
  const { stream, hostId } = host;
  const askedAtMs = performance.now();
  await plane.fleet.removeHost({ hostId });
  const end = await stream.ended;
  expect(performance.now() - askedAtMs).toBeLessThan(STREAM_END_MS);
  const refused = { code: Status.UNAUTHENTICATED, refusal: { reason: Refusal_Reason.CREDENTIAL_INVALID } };
  expect(end).toMatchObject(refused);

  const again = host.agent.connect();
  again.sendHello(validHello({ hostname: "removed" }));
  expect(await again.ended).toMatchObject(refused);
  const manifest = host.agent.fetchManifest(randomUUID()).catch(toCallEnd);
  expect(await manifest).toMatchObject(refused);
  expect(await endOf(host.agent.fetchBlocks(randomUUID(), [{ first: 0, count: 1 }]))).toMatchObject(refused);

  expect((await refusalOf(plane.fleet.getHost({ hostId })))?.reason).toBe(Refusal_Reason.HOST_UNKNOWN);
  expect((await plane.fleet.listHosts({})).hosts.map(({ id }) => id)).not.toContain(hostId);
  const { events } = await plane.fleet.listAuditEvents({ hostId, actionPrefix: "host.removed" });
  expect(events.map(({ actor }) => actor)).toEqual(["admin-token"]);
});

test("its open job is cancelled, and its agent is told", async () => {
  const host = await ScriptedHost.connect(plane, "with-a-job");
  const { job } = await plane.fleet.updateHost({ hostId: host.hostId });
  await host.commanded();
  await plane.fleet.removeHost({ hostId: host.hostId });
  expect(await plane.untilEnded(job?.id ?? "")).toMatchObject({ state: JobState.CANCELLED });
  expect((await host.stream.next()).message).toMatchObject({ case: "cancelUpdate", value: { jobId: job?.id } });
  await host.stream.ended;
});

test("a job that its agent was told to commit ends as lost: what became of it nobody will hear", async () => {
  const host = await ScriptedHost.connect(plane, "committed");
  await plane.fleet.updateHost({ hostId: host.hostId });
  const jobId = await host.reachCommit();
  await plane.fleet.removeHost({ hostId: host.hostId });
  expect(await plane.untilEnded(jobId)).toMatchObject({ state: JobState.FAILED, reason: JobReason.AGENT_LOST });
  // Nobody need look at a host that is no more.
  expect((await plane.fleet.listAlerts({ hostId: host.hostId, openOnly: true })).alerts).toEqual([]);
});

test("its alerts close", async () => {
  const host = await ScriptedHost.connect(plane, "with-alerts");
  await plane.fleet.updateHost({ hostId: host.hostId });
  await plane.untilEnded(await host.failNext());
  const query = { hostId: host.hostId, kind: AlertKind.UPDATE_FAILED };
  expect((await plane.fleet.listAlerts({ ...query, openOnly: true })).alerts).toHaveLength(1);
  await plane.fleet.removeHost({ hostId: host.hostId });
  expect((await plane.fleet.listAlerts({ ...query, openOnly: true })).alerts).toEqual([]);
  expect((await plane.fleet.listAlerts(query)).alerts).toHaveLength(1);
});

test("who watches is told that it is gone, with counts that no longer hold it", async () => {
  const host = await ScriptedHost.connect(plane, "watched");
  let before: number | undefined;
  for await (const { change, counts } of plane.fleet.watchFleet({})) {
    if (change.case === "caughtUp") {
      before = counts?.total;
      await plane.fleet.removeHost({ hostId: host.hostId });
    }
    if (change.case !== "removedHostId" || change.value !== host.hostId) continue;
    expect(counts?.total).toBe((before ?? 0) - 1);
    break;
  }
});

test("a host that is unknown, or was removed before, is refused", async () => {
  const host = await ScriptedHost.enrol(plane, "twice");
  await plane.fleet.removeHost({ hostId: host.hostId });
  for (const hostId of [host.hostId, randomUUID()]) {
    expect(await refusalOf(plane.fleet.removeHost({ hostId }))).toMatchObject({
      reason: Refusal_Reason.HOST_UNKNOWN,
      details: { host_id: hostId },
    });
  }
});
