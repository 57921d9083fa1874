import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { addUser } from "../support/account-fixture.ts";
import { NEW_VERSION, startControlPlane, type ControlPlane } from "../support/control-plane.ts";
import { writeTestRelease } from "../support/test-release.ts";
import { buildVersionElf } from "../support/tiny-elf.ts";
import { Desk, expectEnd } from "./run-rollcall.ts";

let plane: ControlPlane;
let desk: Desk;

beforeAll(async () => {
  plane = await startControlPlane();
  desk = await Desk.open();
  // Without an admin who can sign in no other may be turned into less.
  await addUser(plane.database, "ada", "admin");
  await desk.run(["login", plane.web, "--token-stdin"], { input: plane.adminToken });
});

afterAll(async () => {
  await desk[Symbol.asyncDispose]();
  await plane[Symbol.asyncDispose]();
});

test("somebody is added by a link, given another role, shut out and let in again", async () => {
  const added = await desk.run(["users", "add", "bo", "--role", "operator"]);
  expect(added.stdout).toMatch(/^http:\/\/\S+#\S+\n$/);
  expectEnd(added, 0, "Give this link to bo.");
  expectEnd(await desk.run(["users", "set-role", "bo", "viewer"]), 0, "bo is viewer, not set up yet.");
  expectEnd(await desk.run(["users", "disable", "bo"]), 0, "bo is viewer, disabled.");
  expectEnd(await desk.run(["users", "enable", "bo"]), 0, "bo is viewer, not set up yet.");
  expectEnd(await desk.run(["users", "reset", "bo"]), 0, "#");
  expectEnd(await desk.run(["users", "set-role", "nobody", "viewer"]), 1, "There is no user nobody.");
  expectEnd(await desk.run(["users", "add", "bo"]), 1, "bo");
});

test("an enrolment token is a line to run, and is revoked by the beginning of its id", async () => {
  const made = await desk.run([
    "tokens",
    "enrolment",
    "create",
    "--label",
    "rack 4",
    "--uses",
    "3",
    "--valid-for",
    "2h",
  ]);
  expectEnd(made, 0, "ROLLCALL_TOKEN=");
  const list = await desk.run(["tokens", "enrolment", "list"]);
  const [, id = ""] = /^([0-9a-f]{8}) .*0 of 3 .*rack 4$/m.exec(list.stdout) ?? [];
  expectEnd(await desk.run(["tokens", "enrolment", "revoke", id]), 0, "Revoked");
  expectEnd(await desk.run(["tokens", "enrolment", "list"]), 0, "revoked");
});

test("an API token is printed once, alone on its line, and counts until it is revoked", async () => {
  const { stdout } = await desk.run(["tokens", "api", "create", "ci", "--valid-for", "12h"]);
  expect(stdout).toMatch(/^rc_api_\S+\n$/);
  const env = { ROLLCALL_SERVER: plane.web, ROLLCALL_TOKEN: stdout.trim() };
  expectEnd(await desk.run(["status"], { env }), 0, "(viewer)");
  const [, id = ""] = /^([0-9a-f]{8}) +viewer .* ci$/m.exec((await desk.run(["tokens", "api", "list"])).stdout) ?? [];
  expectEnd(await desk.run(["tokens", "api", "revoke", id]), 0, "Revoked API token ci.");
  expectEnd(await desk.run(["status"], { env }), 4, "The token is not valid.");
});

test("a release is imported from its folder, made the target, and removed when it is not", async () => {
  const folder = join(plane.dataDir, "elsewhere");
  await writeTestRelease(folder, { version: "3.0.0", sequence: 3, artifact: buildVersionElf("3.0.0", 600_000) });
  expectEnd(await desk.run(["releases", "import", join(folder, "3.0.0")]), 0, "Imported 3.0.0, sequence 3");
  expectEnd(await desk.run(["releases", "import", folder]), 2, "manifest.json cannot be read");
  expectEnd(await desk.run(["releases", "set-target", "3.0.0"]), 0, "The target is 3.0.0.");
  expectEnd(await desk.run(["releases", "remove", "3.0.0", "--yes"]), 1, "3.0.0");
  expectEnd(await desk.run(["releases", "set-target", "--follow"]), 0, `The target is ${NEW_VERSION}.`);
  expectEnd(await desk.run(["releases", "set-target"]), 2, "--follow");
  expectEnd(await desk.run(["releases", "remove", "3.0.0", "--yes"]), 0, "Removed 3.0.0.");
  expectEnd(await desk.run(["releases", "lift-quarantine", NEW_VERSION, "linux-x64"]), 0, "may be sent");
  const { stdout } = await desk.run(["releases", "list"]);
  expect(stdout).toMatch(/^2\.0\.0 +2 +target /m);
  expect(stdout).not.toContain("3.0.0");
});
