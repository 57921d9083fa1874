import { chmod, readFile, stat, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { addApiToken, addUser, PASSWORD } from "../support/account-fixture.ts";
import { startControlPlane, type ControlPlane } from "../support/control-plane.ts";
import { findQuietPort } from "../support/quiet-port.ts";
import { Desk, expectEnd } from "./run-rollcall.ts";

let plane: ControlPlane;

beforeAll(async () => {
  plane = await startControlPlane();
  for (const [username, role] of [
    ["ada", "admin"],
    ["oki", "operator"],
    ["vera", "viewer"],
  ] as const)
    await addUser(plane.database, username, role);
});

afterAll(() => plane[Symbol.asyncDispose]());

test("whoever signs in with a password is known until they sign out, and the file is theirs alone", async () => {
  await using desk = await Desk.open();
  const login = await desk.run(["login", plane.web, "--username", "ada", "--password-stdin"], {
    input: `${PASSWORD}\n`,
  });
  expect(login).toMatchObject({ exitStatus: 0, stdout: `Signed in to ${plane.web} as ada (admin).\n` });
  expect((await stat(desk.loginFile)).mode & 0o777).toBe(0o600);
  expect(await readFile(desk.loginFile, "utf8")).not.toContain(PASSWORD);

  const status = await desk.run(["status"]);
  expect(status.stdout).toContain("ada (admin)");
  const sessions = await desk.run(["users", "sessions", "list"]);
  expect(sessions.stdout).toContain("this one");
  expect(sessions.stdout).toContain("rollcall/");

  const cookie = (JSON.parse(await readFile(desk.loginFile, "utf8")) as { cookie: string }).cookie;
  expect(await desk.run(["logout"])).toMatchObject({ exitStatus: 0 });
  expectEnd(await desk.run(["status"]), 4, "Nobody is signed in");
  // The session itself has ended, whoever kept a copy of the cookie.
  await writeFile(desk.loginFile, JSON.stringify({ server: plane.web, cookie }), { mode: 0o600 });
  expectEnd(await desk.run(["status"]), 4, "rollcall login");
});

test("a wrong password keeps nothing", async () => {
  await using desk = await Desk.open();
  const result = await desk.run(["login", plane.web, "-u", "ada", "--password-stdin"], { input: "not it" });
  expect(result.exitStatus).toBe(4);
  expect(result.stderr).toMatch(/^rollcall: .*(password|name)/i);
  await expect(stat(desk.loginFile)).rejects.toThrow("ENOENT");
});

test("a token from a file or the environment does what its role may, and no more", async () => {
  await using desk = await Desk.open();
  const { secret } = await addApiToken(plane.database, "viewer");
  const login = await desk.run(["login", plane.web, "--token-stdin"], { input: `${secret}\n` });
  expectEnd(login, 0, "(viewer)");
  expect(await desk.run(["users", "list"])).toMatchObject({
    exitStatus: 4,
    stderr: "rollcall: ListUsers needs the role admin.\n",
  });
  const env = { ROLLCALL_SERVER: plane.web, ROLLCALL_TOKEN: plane.adminToken };
  expectEnd(await desk.run(["users", "list"], { env }), 0, "vera");
  expectEnd(await desk.run(["status"], { env: { ROLLCALL_TOKEN: plane.adminToken } }), 2, "only together");
});

test("a file that others may read is not used, and a damaged one is not quoted", async () => {
  await using desk = await Desk.open();
  await desk.run(["login", plane.web, "--token-stdin"], { input: plane.adminToken });
  await chmod(desk.loginFile, 0o644);
  expectEnd(await desk.run(["status"]), 4, "chmod 600");
  await chmod(desk.loginFile, 0o600);
  await writeFile(desk.loginFile, `{"token":"${plane.adminToken}`);
  const damaged = await desk.run(["status"]);
  expectEnd(damaged, 4, "damaged");
  expect(damaged.stderr).not.toContain(plane.adminToken);
});

test("what cannot be a server is refused before anything is sent, and one that is not there is named", async () => {
  await using desk = await Desk.open();
  for (const address of ["rollcall.example.org", "http://rollcall.example.org", "https://rollcall.example.org/path"])
    expectEnd(await desk.run(["login", address, "--token-stdin"], { input: "x" }), 2, address);
  const nobody = `http://127.0.0.1:${await findQuietPort()}`;
  expectEnd(await desk.run(["login", nobody, "--token-stdin"], { input: "x" }), 3, `${nobody} cannot be reached`);
});

test.each([
  [[], 2, "Usage: rollcall"],
  [["hosts", "lst"], 2, "Did you mean list"],
  [["hosts", "list", "--limit", "x"], 2, "whole number"],
  [["users", "add", "bo", "--role", "king"], 2, "viewer, operator, admin"],
  [["fleet-update", "start", "--offline", "wait"], 2, "halt"],
] as const)("%j is a mistake of the command line", async (words, exitStatus, sentence) => {
  await using desk = await Desk.open();
  expectEnd(await desk.run(words), exitStatus, sentence);
});
