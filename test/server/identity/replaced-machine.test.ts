import { status as Status } from "@grpc/grpc-js";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  HostStatus,
  InvalidFieldSchema,
  JobReason,
  JobState,
  Refusal_Reason,
} from "../../../gen/rollcall/v1/model_pb.js";
import type { HostId } from "../../../server/domain/ids.ts";
import { deriveCredential, readCredential } from "../../../server/identity/host-credential.ts";
import { findOpenSockets } from "../../agent/open-sockets.ts";
import { startControlPlane, type ControlPlane } from "../../support/control-plane.ts";
import { failureOf, refusalOf } from "../../support/refusal-of.ts";
import { NOBODY } from "../../support/request-fields.ts";
import { ScriptedAgent, toCallEnd, validHello, type CallEnd } from "../../support/scripted-agent.ts";
import { ScriptedHost } from "../../support/scripted-host.ts";

let plane: ControlPlane;
let key: Buffer;
beforeAll(async () => {
  plane = await startControlPlane();
  key = Buffer.from((await readFile(join(plane.dataDir, "credential.key"), "utf8")).trim(), "hex");
});
afterAll(async () => {
  await plane[Symbol.asyncDispose]();
  expect(await findOpenSockets()).toEqual([]);
});

const REFUSED = { code: Status.UNAUTHENTICATED, refusal: { reason: Refusal_Reason.CREDENTIAL_INVALID } };

/** Enrols a machine with a token that replaces this host. */
async function reinstall(hostId: string, hostname: string, token?: string) {
  const made = token ?? (await plane.fleet.createEnrollmentToken({ replacesHostId: hostId })).token;
  using agent = new ScriptedAgent({ address: plane.agents, caPem: plane.caPem });
  return await agent.enroll({ token: made, hostname, os: "linux", arch: "arm64" });
}

/** How a stream with this credential ends that is refused. */
async function refusedWith(credential: string): Promise<CallEnd> {
  using agent = new ScriptedAgent({ address: plane.agents, caPem: plane.caPem, credential });
  const stream = agent.connect();
  stream.sendHello();
  return await stream.ended;
}

describe("a machine that enrols with a token that replaces a host", () => {
  test("takes its row, its history and its labels, and whatever the one before was given is refused", async () => {
    const host = await ScriptedHost.connect(plane, "first");
    const { hostId } = host;
    const old = host.agent.credential ?? "";
    await plane.fleet.editHost({ hostId, displayName: "Front door", setLabels: [{ key: "site", value: "lisbon" }] });
    await plane.fleet.updateHost({ hostId });
    await plane.untilEnded(await host.failNext());

    const { token, tokenId } = await plane.fleet.createEnrollmentToken({ replacesHostId: hostId });
    const answer = await reinstall(hostId, "first-again", token);
    expect(answer.hostId).toBe(hostId);
    expect(await host.stream.ended).toMatchObject(REFUSED);
    const generation = readCredential(key, answer.credential)?.generation ?? 0;
    // Also what it was never seen to use: the next one, and those after a backup that is restored.
    for (const given of [
      old,
      ...[2, 3, 500].map((one) => deriveCredential(key, { hostId: hostId as HostId, generation: one })),
    ])
      expect(await refusedWith(given)).toMatchObject(REFUSED);
    expect(generation).toBeGreaterThan(500);

    const before = (await plane.fleet.getHost({ hostId })).host;
    expect(before).toMatchObject({ displayName: "Front door", status: HostStatus.OFFLINE, identityDuplicated: false });
    expect(before?.labels).toMatchObject([{ key: "site", value: "lisbon" }]);
    expect(before?.replacedAt).toBeDefined();
    host.agent.credential = answer.credential;
    await host.hello({ hostname: "first-again", arch: "arm64" });
    const after = (await plane.fleet.getHost({ hostId })).host;
    expect(after).toMatchObject({ hostname: "first-again", platform: "linux-arm64", status: HostStatus.ONLINE });
    expect((await plane.fleet.listJobs({ hostId })).jobs).toHaveLength(1);
    expect((await plane.fleet.listAlerts({ hostId, openOnly: true })).alerts.map(({ reason }) => reason)).toEqual([
      "preflight_read_only",
    ]);
    const { events } = await plane.fleet.listAuditEvents({ hostId, actionPrefix: "host.replaced" });
    expect(events.map(({ details }) => JSON.parse(details) as unknown)).toEqual([
      { hostname: "first-again", token_id: tokenId },
    ]);
    const { tokens } = await plane.fleet.listEnrollmentTokens({});
    expect(tokens.find(({ id }) => id === tokenId)).toMatchObject({ replacesHostId: hostId, uses: 1 });
  });

  test("ends an open job with what happened, and is sent nothing of it", async () => {
    const host = await ScriptedHost.connect(plane, "busy");
    const { hostId } = host;
    await plane.fleet.updateHost({ hostId });
    const { jobId } = await host.commanded();
    const { credential } = await reinstall(hostId, "busy");
    expect(await plane.untilEnded(jobId)).toMatchObject({ state: JobState.FAILED, reason: JobReason.HOST_REPLACED });
    host.agent.credential = credential;
    await host.hello();
    await plane.fleet.updateHost({ hostId });
    expect((await host.commanded()).jobId).not.toBe(jobId);
  });

  test("brings back a host that was archived", async () => {
    const { hostId } = await ScriptedHost.enrol(plane, "archived");
    await plane.fleet.archiveHost({ hostId });
    await reinstall(hostId, "archived");
    expect((await plane.fleet.getHost({ hostId })).host?.archivedAt).toBeUndefined();
  });

  test("is refused once the host was removed, and the token is not used", async () => {
    const { hostId } = await ScriptedHost.enrol(plane, "removed");
    const { token, tokenId } = await plane.fleet.createEnrollmentToken({ replacesHostId: hostId });
    await plane.fleet.removeHost({ hostId });
    const end = await reinstall(hostId, "removed", token).then(() => undefined, toCallEnd);
    expect(end).toMatchObject({ code: Status.NOT_FOUND, refusal: { reason: Refusal_Reason.HOST_UNKNOWN } });
    const { tokens } = await plane.fleet.listEnrollmentTokens({});
    expect(tokens.find(({ id }) => id === tokenId)?.uses).toBe(0);
  });
});

test("a token that replaces a host is for a host that is there, and for one use", async () => {
  expect(await refusalOf(plane.fleet.createEnrollmentToken({ replacesHostId: NOBODY }))).toMatchObject({
    reason: Refusal_Reason.HOST_UNKNOWN,
  });
  const { hostId } = await ScriptedHost.enrol(plane, "once");
  const failure = await failureOf(plane.fleet.createEnrollmentToken({ replacesHostId: hostId, maxUses: 2 }));
  expect(failure.findDetails(InvalidFieldSchema)[0]).toMatchObject({ field: "maxUses" });
});

test("a second host with the same hostname points at the first, until that is archived", async () => {
  const [first, second] = [await ScriptedHost.connect(plane, "twin"), await ScriptedHost.connect(plane, "twin")];
  const sameAs = async ({ hostId }: ScriptedHost) => (await plane.fleet.getHost({ hostId })).host?.sameHostnameAs;
  expect(await sameAs(first)).toBe("");
  expect(await sameAs(second)).toBe(first.hostId);
  await plane.fleet.archiveHost({ hostId: first.hostId });
  expect(await sameAs(second)).toBe("");
  await plane.fleet.unarchiveHost({ hostId: first.hostId });
  await second.agent.hello(validHello({ hostname: "twin-2", instanceId: NOBODY }));
  expect(await sameAs(second)).toBe("");
});
