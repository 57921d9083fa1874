import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { Role } from "../../../gen/rollcall/v1/options_pb.js";
import { OpenCallers } from "../../../server/api/open-callers.ts";
import type { Caller } from "../../../server/domain/caller.ts";
import type { UserSession } from "../../../server/domain/user.ts";
import { accountsOf, Browser } from "../../support/account-client.ts";
import { addApiToken, addSession, addUser } from "../../support/account-fixture.ts";
import { createFleetClient, startControlPlane, type ControlPlane } from "../../support/control-plane.ts";
import { ManualClock } from "../stream/manual-clock.ts";
import { openResources } from "../stream/open-resources.ts";

const SOON_MS = 5_000;

let plane: ControlPlane;
beforeAll(async () => {
  plane = await startControlPlane();
});
afterAll(async () => {
  await plane[Symbol.asyncDispose]();
  await vi.waitFor(() => expect(openResources()).toEqual([]));
});

const admin = () => accountsOf(plane.web, plane.adminToken);

/** Opens a stream as a client, and tells by what and how long after `revoke` it ended. */
async function endOf(
  client: ReturnType<typeof createFleetClient>,
  revoke: () => Promise<unknown>,
): Promise<{ readonly code: Code; readonly tookMs: number }> {
  let revokedAtMs = Number.NaN;
  try {
    for await (const { change } of client.watchFleet({})) {
      if (change.case !== "caughtUp") continue;
      await revoke();
      revokedAtMs = performance.now();
    }
    throw new Error("the stream ended without a failure");
  } catch (error) {
    if (Number.isNaN(revokedAtMs) || !(error instanceof ConnectError)) throw error;
    return { code: error.code, tookMs: performance.now() - revokedAtMs };
  }
}

async function viewer(username: string) {
  const userId = await addUser(plane.database, username, "viewer");
  const session = await addSession(plane.database, userId);
  const browser = new Browser(plane.web);
  browser.cookie = `rollcall_session=${session.secret}`;
  return { userId, sessionId: session.id, browser };
}

describe.concurrent("an open WatchFleet ends within five seconds of", () => {
  test("its token's revocation", async () => {
    const { id, secret } = await addApiToken(plane.database, "viewer");
    const end = await endOf(createFleetClient(plane.web, secret), () => admin().revokeApiToken({ apiTokenId: id }));
    expect(end.code).toBe(Code.Unauthenticated);
    expect(end.tookMs).toBeLessThan(SOON_MS);
  });

  test("its token's expiry", async () => {
    const { secret } = await addApiToken(plane.database, "viewer", { lifeMs: 1_500 });
    const end = await endOf(createFleetClient(plane.web, secret), async () => undefined);
    expect(end.code).toBe(Code.Unauthenticated);
    expect(end.tookMs).toBeLessThan(1_500 + SOON_MS);
  });

  test("its session's revocation by an admin, and of a logout elsewhere", async () => {
    const { sessionId, browser } = await viewer("revoked");
    const end = await endOf(browser.fleet, () => admin().revokeSession({ sessionId }));
    expect(end.code).toBe(Code.Unauthenticated);
    expect(end.tookMs).toBeLessThan(SOON_MS);
    const other = await viewer("logged-out");
    const logout = await endOf(other.browser.fleet, () => other.browser.accounts.logout({}));
    expect(logout.code).toBe(Code.Unauthenticated);
    expect(logout.tookMs).toBeLessThan(SOON_MS);
  });

  test("its user's disabling", async () => {
    const { userId, browser } = await viewer("disabled");
    const end = await endOf(browser.fleet, () => admin().disableUser({ userId }));
    expect(end.code).toBe(Code.Unauthenticated);
    expect(end.tookMs).toBeLessThan(SOON_MS);
  });

  test("its user's new role", async () => {
    const { userId, browser } = await viewer("promoted");
    const end = await endOf(browser.fleet, () => admin().setUserRole({ userId, role: Role.OPERATOR }));
    expect(end.code).toBe(Code.Unauthenticated);
    expect(end.tookMs).toBeLessThan(SOON_MS);
  });

  test("the disabling of the user who made its token", async () => {
    const creatorId = await addUser(plane.database, "maker", "viewer");
    const { secret } = await addApiToken(plane.database, "viewer", { creatorId });
    const end = await endOf(createFleetClient(plane.web, secret), () => admin().disableUser({ userId: creatorId }));
    expect(end.code).toBe(Code.Unauthenticated);
    expect(end.tookMs).toBeLessThan(SOON_MS);
  });
});

// Alone: what another test revokes here would have everybody looked up at once.
describe("an open WatchFleet ends, when nobody tells this server, within five seconds of", () => {
  test("a revocation that another server made", async () => {
    const { id, secret } = await addApiToken(plane.database, "viewer");
    const revokeInDatabase = () =>
      plane.database.db.updateTable("api_tokens").set({ revoked_at: new Date() }).where("id", "=", id).execute();
    const end = await endOf(createFleetClient(plane.web, secret), revokeInDatabase);
    expect(end.code).toBe(Code.Unauthenticated);
    expect(end.tookMs).toBeLessThan(SOON_MS);
  });
});

describe("open callers", () => {
  const caller: Caller = {
    kind: "session",
    name: "x",
    role: Role.OPERATOR,
    userId: "u" as never,
    sessionId: "s" as never,
    session: {} as UserSession,
  };

  test("are asked for by one question, and by none while there are none", async () => {
    const clock = new ManualClock();
    const questions: number[] = [];
    const directory = {
      findRoles: async (callers: readonly Caller[]) => {
        questions.push(callers.length);
        return new Map(callers.map((asked) => [asked, asked.role]));
      },
    };
    await using open = new OpenCallers(directory, clock, (error) => expect.fail(String(error)));
    expect(clock.size).toBe(0);
    const held = Array.from({ length: 50 }, () => open.hold(caller, Role.VIEWER));
    clock.advance(2_000);
    await vi.waitFor(() => expect(questions).toEqual([50]));
    for (const rights of held) rights[Symbol.dispose]();
    expect(open.size).toBe(0);
    clock.advance(2_000);
    clock.advance(2_000);
    expect(questions).toEqual([50]);
    expect(held.some(({ ended }) => ended.aborted)).toBe(false);
  });

  test("keep their streams while nobody can be asked, and lose them once somebody can", async () => {
    const clock = new ManualClock();
    const failures: unknown[] = [];
    let isAway = true;
    const directory = {
      findRoles: async () => {
        if (isAway) throw new Error("away");
        return new Map<Caller, Role>();
      },
    };
    await using open = new OpenCallers(directory, clock, (error) => failures.push(error));
    using rights = open.hold(caller, Role.VIEWER);
    clock.advance(2_000);
    await vi.waitFor(() => expect(failures).toHaveLength(1));
    expect(rights.ended.aborted).toBe(false);
    isAway = false;
    await clock.scheduled(2_000);
    clock.advance(2_000);
    await vi.waitFor(() => expect(rights.ended.aborted).toBe(true));
  });

  test("whose role fell below what their stream asks for lose it, and only they", async () => {
    const clock = new ManualClock();
    const directory = { findRoles: async () => new Map([[caller, Role.VIEWER]]) };
    await using open = new OpenCallers(directory, clock, (error) => expect.fail(String(error)));
    using high = open.hold(caller, Role.OPERATOR);
    using low = open.hold(caller, Role.VIEWER);
    open.rightsChanged();
    await vi.waitFor(() => expect(high.ended.aborted).toBe(true));
    expect(high.ended.reason).toMatchObject({ code: Code.PermissionDenied });
    expect(low.ended.aborted).toBe(false);
  });
});
