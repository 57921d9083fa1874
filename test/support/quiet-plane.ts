import { vi } from "vitest";
import { addApiToken, addSession, addUser } from "./account-fixture.ts";
import { startControlPlane, type ControlPlane } from "./control-plane.ts";
import { validHello } from "./scripted-agent.ts";
import { digestTables } from "./table-digests.ts";

const NEVER_MS = 3_600_000;

/** A server with hosts, one of which could be updated, and people, in whose database nothing changes by itself. */
export async function startQuietPlane(): Promise<ControlPlane & { readonly onlineHostId: string }> {
  const plane = await startControlPlane({ tickIntervalMs: NEVER_MS, auditSealIntervalMs: NEVER_MS, leaseMs: NEVER_MS });
  const agent = await plane.enrollAgent("online-and-behind");
  await agent.hello(validHello({ hostname: "online-and-behind" }));
  await plane.enrollAgent("never-seen");
  const userId = await addUser(plane.database, "somebody-else", "admin");
  await addSession(plane.database, userId);
  await addApiToken(plane.database, "operator", { creatorId: userId });
  // What a start does by itself is done once nothing moves any more.
  await vi.waitUntil(async () => {
    const before = JSON.stringify(await digestTables(plane.database));
    await plane.fleet.listHosts({});
    return JSON.stringify(await digestTables(plane.database)) === before;
  });
  return { ...plane, onlineHostId: agent.hostId };
}
