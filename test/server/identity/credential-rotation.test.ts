import { status as Status } from "@grpc/grpc-js";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { sql } from "kysely";
import { afterAll, beforeAll, expect, test } from "vitest";
import { AlertKind } from "../../../gen/rollcall/v1/attention_pb.js";
import { Refusal_Reason } from "../../../gen/rollcall/v1/model_pb.js";
import type { HostId } from "../../../server/domain/ids.ts";
import { deriveCredential, readCredential } from "../../../server/identity/host-credential.ts";
import { findOpenSockets } from "../../agent/open-sockets.ts";
import { NEW_VERSION, startControlPlane, type ControlPlane } from "../../support/control-plane.ts";
import { refusalOf } from "../../support/refusal-of.ts";
import { validHello, type CallEnd } from "../../support/scripted-agent.ts";
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

const generationOf = (credential: string): number | undefined => readCredential(key, credential)?.generation;

async function setRotatedAt(host: ScriptedHost, days: number): Promise<void> {
  await plane.database.db
    .updateTable("hosts")
    .set({ credential_rotated_at: sql<Date>`clock_timestamp() - make_interval(days => ${days}::integer)` })
    .where("id", "=", host.hostId as never)
    .execute();
}

/** How a stream with this credential ends that is refused. */
async function refusedWith(host: ScriptedHost, credential: string): Promise<CallEnd> {
  host.agent.credential = credential;
  const stream = host.agent.connect();
  stream.sendHello(validHello({ hostname: host.hostname }));
  return stream.ended;
}

const openDuplicates = async (host: ScriptedHost) =>
  (await plane.fleet.listAlerts({ hostId: host.hostId, kind: AlertKind.DUPLICATE_IDENTITY, openOnly: true })).alerts;

test("a credential is not rotated before it is thirty days old", async () => {
  const host = await ScriptedHost.enrol(plane, "young");
  expect((await host.hello()).nextCredential).toBe("");
  await setRotatedAt(host, 29);
  expect((await host.hello()).nextCredential).toBe("");
});

test("a credential of thirty days is rotated: the old one is good until the new one is used, then gives its copy away", async () => {
  const host = await ScriptedHost.enrol(plane, "old");
  const old = host.agent.credential ?? "";
  await setRotatedAt(host, 31);
  const next = (await host.hello()).nextCredential;
  expect([generationOf(old), generationOf(next)]).toEqual([1, 2]);

  // The answer may be lost on its way: the old one goes on, and is offered the same again.
  expect((await host.hello()).nextCredential).toBe(next);
  host.agent.credential = next;
  expect((await host.hello()).nextCredential).toBe("");
  expect(await openDuplicates(host)).toEqual([]);

  const told = (async () => {
    for await (const { change } of plane.fleet.watchFleet({})) {
      if (change.case === "caughtUp") await refuseOld();
      if (change.case === "host" && change.value.id === host.hostId && change.value.identityDuplicated) return;
    }
  })();
  async function refuseOld(): Promise<void> {
    const end = await refusedWith(host, old);
    expect(end).toMatchObject({
      code: Status.UNAUTHENTICATED,
      refusal: { reason: Refusal_Reason.CREDENTIAL_INVALID },
    });
  }
  await told;
  expect(await openDuplicates(host)).toMatchObject([{ timesRaised: 1, reason: "an older credential was used" }]);
  expect((await refusalOf(plane.fleet.updateHost({ hostId: host.hostId })))?.reason).toBe(
    Refusal_Reason.IDENTITY_DUPLICATED,
  );
  // Used again it is touched, not doubled; the host with the new one is let in.
  await refuseOld();
  expect(await openDuplicates(host)).toMatchObject([{ timesRaised: 2 }]);
  host.agent.credential = next;
  await host.hello();
});

test("a credential is rotated after each confirmed update", async () => {
  const host = await ScriptedHost.connect(plane, "updated");
  await plane.fleet.updateHost({ hostId: host.hostId });
  const jobId = await host.reachCommit();
  await host.leave();
  const { nextCredential } = await host.helloUpdated(jobId, NEW_VERSION);
  expect(generationOf(nextCredential)).toBe(2);
  host.agent.credential = nextCredential;
  expect((await host.hello({ agentVersion: NEW_VERSION })).nextCredential).toBe("");
});

test("a newer generation than the database knows is accepted: it was restored from a backup", async () => {
  const host = await ScriptedHost.enrol(plane, "ahead");
  const first = host.agent.credential ?? "";
  host.agent.credential = deriveCredential(key, { hostId: host.hostId as HostId, generation: 7 });
  await setRotatedAt(host, 31);
  // Its first use counts as a rotation; the next one follows it, not what the database knew.
  expect((await host.hello()).nextCredential).toBe("");
  await setRotatedAt(host, 31);
  expect(generationOf((await host.hello()).nextCredential)).toBe(8);
  expect(await refusedWith(host, first)).toMatchObject({ code: Status.UNAUTHENTICATED });
});

test.each([
  ["of another key", (id: HostId) => deriveCredential(Buffer.alloc(32, 1), { hostId: id, generation: 1 })],
  [
    "of an unknown host",
    () => deriveCredential(key, { hostId: "00000000-0000-4000-8000-000000000009" as HostId, generation: 1 }),
  ],
  ["cut short", (id: HostId) => deriveCredential(key, { hostId: id, generation: 1 }).slice(0, -4)],
  ["of another kind", () => "rc_api_0000000000000000000000000000000000000000000"],
])("a credential %s is refused in the same words, and raises no alert", async (_, forge) => {
  const host = await ScriptedHost.enrol(plane, "forged");
  const end = await refusedWith(host, forge(host.hostId as HostId));
  expect(end).toMatchObject({
    code: Status.UNAUTHENTICATED,
    details: "this credential is not valid; enroll the host again",
  });
  expect(await openDuplicates(host)).toEqual([]);
});
