import { afterAll, beforeAll, expect, test } from "vitest";
import { HostStatus } from "../../../gen/rollcall/v1/model_pb.js";
import { status as Status } from "@grpc/grpc-js";
import { sql } from "kysely";
import { writeAuditEvent } from "../../../server/store/audit-events.ts";
import { findOpenSockets } from "../../agent/open-sockets.ts";
import { startControlPlane, type ControlPlane } from "../../support/control-plane.ts";
import { validHello } from "../../support/scripted-agent.ts";
import { ScriptedHost } from "../../support/scripted-host.ts";

let plane: ControlPlane;
beforeAll(async () => {
  plane = await startControlPlane();
});
afterAll(async () => {
  await plane[Symbol.asyncDispose]();
  expect(await findOpenSockets()).toEqual([]);
});

/** A host with a credential that the database knows nothing of, as after the restore of an older backup. */
async function forgottenHost(hostname: string): Promise<ScriptedHost> {
  const host = await ScriptedHost.enrol(plane, hostname);
  await sql`delete from hosts where id = ${host.hostId}`.execute(plane.database.ownerDb);
  return host;
}

async function endOf(host: ScriptedHost) {
  const stream = host.agent.connect();
  stream.sendHello(validHello({ hostname: host.hostname }));
  return stream.ended;
}

test("a host that no row tells of is let in once a backup was restored, and not before", async () => {
  const host = await forgottenHost("enrolled-later");
  expect(await endOf(host)).toMatchObject({ code: Status.UNAUTHENTICATED });
  await writeAuditEvent(plane.database.db, { actor: "rollcall", action: "server.restored", cause: "a test" });
  await host.hello();
  const { host: found } = await plane.fleet.getHost({ hostId: host.hostId });
  expect(found).toMatchObject({ hostname: "enrolled-later", os: "linux", arch: "x64", status: HostStatus.ONLINE });
  const { events } = await plane.fleet.listAuditEvents({ actionPrefix: "host.recovered" });
  expect(events).toMatchObject([{ hostId: host.hostId, actor: "host" }]);
});

test("one that was removed stays out, and so does who only claims to be one", async () => {
  await writeAuditEvent(plane.database.db, { actor: "rollcall", action: "server.restored", cause: "a test" });
  const removed = await ScriptedHost.connect(plane, "removed");
  await plane.fleet.removeHost({ hostId: removed.hostId });
  expect(await endOf(removed)).toMatchObject({ code: Status.UNAUTHENTICATED });
  const forged = await forgottenHost("forged");
  const { credential = "" } = forged.agent;
  forged.agent.credential = `${credential.slice(0, -4)}${credential.endsWith("AAAA") ? "BBBB" : "AAAA"}`;
  expect(await endOf(forged)).toMatchObject({ code: Status.UNAUTHENTICATED });
});
