import { writeFile } from "node:fs/promises";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test, vi } from "vitest";
import { Role } from "../../../gen/rollcall/v1/options_pb.js";
import { announceSetupLink, withdrawSetupLink } from "../../../server/announce-setup-link.ts";
import { prepareFirstAdmin } from "../../../server/account/first-admin.ts";
import { Passwords } from "../../../server/account/passwords.ts";
import { digestSecret } from "../../../server/account/secrets.ts";
import { SESSION_LIFE } from "../../../server/account/session-life.ts";
import { systemRandom as random } from "../../../server/clock-system.ts";
import { createAccountStore } from "../../../server/store/account-store.ts";
import { accountsOf, Browser } from "../../support/account-client.ts";
import { addUser, PASSWORD } from "../../support/account-fixture.ts";
import { startControlPlane } from "../../support/control-plane.ts";
import { createTestDatabase } from "../../support/test-database.ts";
import { openResources } from "../stream/open-resources.ts";

afterAll(() => vi.waitFor(() => expect(openResources()).toEqual([])));

test("who is named in the configuration is admin of a server without users, and there is no link", async () => {
  await using plane = await startControlPlane(undefined, undefined, {
    ROLLCALL_ADMIN_USERNAME: "root",
    ROLLCALL_ADMIN_PASSWORD: PASSWORD,
  });
  expect(await readdir(plane.dataDir)).not.toContain("setup-link");
  const browser = new Browser(plane.web);
  await browser.accounts.login({ username: "root", password: PASSWORD });
  expect(await browser.accounts.getCurrentUser({})).toMatchObject({ role: Role.ADMIN });
  const { users } = await accountsOf(plane.web, plane.adminToken).listUsers({});
  expect(users).toMatchObject([{ username: "root", createdBy: "rollcall" }]);
  expect(plane.log.join("\n")).not.toContain(PASSWORD);
});

test("their password may come from a file, whose last line break nobody means", async () => {
  const folder = await mkdtemp(join(tmpdir(), "rollcall-first-admin-"));
  const path = join(folder, "password");
  await writeFile(path, `${PASSWORD}\n`, { mode: 0o600 });
  await using plane = await startControlPlane(undefined, undefined, {
    ROLLCALL_ADMIN_USERNAME: "root",
    ROLLCALL_ADMIN_PASSWORD_FILE: path,
  });
  await new Browser(plane.web).accounts.login({ username: "root", password: PASSWORD });
  await rm(folder, { recursive: true });
});

test("a password that may not be one stops the start, in words", async () => {
  const environment = { ROLLCALL_ADMIN_USERNAME: "root", ROLLCALL_ADMIN_PASSWORD: "short" };
  await expect(startControlPlane(undefined, undefined, environment)).rejects.toThrow(
    "the first admin's password must have at least 12 characters",
  );
});

test("the configuration changes nothing once there is a user, and no start makes a link", async () => {
  await using database = await createTestDatabase();
  const store = createAccountStore(database.db, SESSION_LIFE.idleMs);
  await addUser(database, "somebody", "viewer");
  const parts = { store, passwords: new Passwords(random), random };
  expect(await prepareFirstAdmin({ ...parts, configured: { username: "root", password: PASSWORD } })).toBeUndefined();
  expect(await prepareFirstAdmin({ ...parts, configured: undefined })).toBeUndefined();
  expect((await store.listUsers({ limit: 10 })).map(({ username }) => username)).toEqual(["somebody"]);
});

test("each start without users makes a new link, which voids the last one", async () => {
  await using database = await createTestDatabase();
  const store = createAccountStore(database.db, SESSION_LIFE.idleMs);
  const parts = { store, passwords: new Passwords(random), random, configured: undefined };
  const first = await prepareFirstAdmin(parts);
  const second = await prepareFirstAdmin(parts);
  const find = (token = "") => store.findSetupLink(digestSecret(token));
  expect(await find(first?.token)).toBeUndefined();
  expect(await find(second?.token)).toMatchObject({ userId: null, username: null });
  const minutes = ((second?.expiresAt.getTime() ?? 0) - Date.now()) / 60_000;
  expect(minutes).toBeGreaterThan(59);
  expect(minutes).toBeLessThanOrEqual(60);
});

test("a link goes to the terminal when there is one, and then into no file", async () => {
  const folder = await mkdtemp(join(tmpdir(), "rollcall-announce-"));
  const link = { url: "http://127.0.0.1:1/setup#rc_setup_x", expiresAt: new Date(0) };
  const told: string[] = [];
  const logged: unknown[] = [];
  await announceSetupLink(
    link,
    folder,
    (text) => told.push(text),
    (...line) => logged.push(line),
  );
  expect(told.join("")).toContain(link.url);
  expect(await readdir(folder)).toEqual([]);
  await announceSetupLink(link, folder, undefined, (...line) => logged.push(line));
  expect(await readdir(folder)).toEqual(["setup-link"]);
  expect(JSON.stringify(logged)).not.toContain("rc_setup_");
  await withdrawSetupLink(folder);
  await withdrawSetupLink(folder);
  expect(await readdir(folder)).toEqual([]);
  await rm(folder, { recursive: true });
});
