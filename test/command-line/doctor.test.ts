/** The doctor on a server of its own, and on what is broken of it, one thing at a time. */
import { once } from "node:events";
import { appendFile, chmod, cp, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "kysely";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import type { Finding } from "../../gen/finding.ts";
import { systemRandom } from "../../server/clock-system.ts";
import { issueLeaf } from "../../server/stream/certificate-authority.ts";
import { NEW_VERSION, startControlPlane, type ControlPlane } from "../support/control-plane.ts";
import { findQuietPort } from "../support/quiet-port.ts";
import { Desk } from "./run-rollcall.ts";

let plane: ControlPlane;
let desk: Desk;
let folder: string;
let dataDir: string;
let releasesDir: string;

beforeAll(async () => {
  plane = await startControlPlane();
  desk = await Desk.open();
});

afterAll(async () => {
  await desk[Symbol.asyncDispose]();
  await plane[Symbol.asyncDispose]();
});

/** What is broken is a copy of the server's files; the server itself goes on. */
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "rollcall-doctor-"));
  dataDir = join(folder, "data");
  releasesDir = join(folder, "releases");
  await cp(plane.dataDir, dataDir, { recursive: true });
  await cp(plane.releasesDir, releasesDir, { recursive: true });
});

afterEach(() => rm(folder, { recursive: true, force: true }));

async function examine(changes: Readonly<Record<string, string>> = {}) {
  const settings = {
    ROLLCALL_DATA_DIR: dataDir,
    ROLLCALL_RELEASES_DIR: releasesDir,
    ROLLCALL_WEB_LISTEN: new URL(plane.web).host,
    ROLLCALL_AGENT_LISTEN: plane.agents,
    ROLLCALL_DATABASE_URL: plane.database.url,
    ...changes,
  };
  const envFile = join(folder, "server.env");
  await writeFile(
    envFile,
    Object.entries(settings)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(""),
  );
  const { stdout, stderr, exitStatus } = await desk.run(["doctor", "server", "--env-file", envFile, "--json"]);
  expect(stdout, stderr).not.toBe("");
  const { findings } = JSON.parse(stdout) as { findings: Finding[] };
  return { exitStatus, findings };
}

/** Checks that this one is what fails, and says so. */
async function expectFailure(check: string, sentence: string, changes: Readonly<Record<string, string>> = {}) {
  const { findings, exitStatus } = await examine(changes);
  const failed = findings.filter(({ verdict }) => verdict === "fail");
  expect(failed.map((finding) => finding.check)).toEqual([check]);
  expect(failed[0]?.found).toContain(sentence);
  expect(failed[0]?.toDo).not.toBe("");
  expect(exitStatus).toBe(1);
}

test("a server in order has nothing that fails, in lines for people too", async () => {
  const { findings, exitStatus } = await examine();
  expect(findings.filter(({ verdict }) => verdict === "fail")).toEqual([]);
  expect(exitStatus).toBe(0);
  expect(findings.length).toBeGreaterThan(15);
  const lines = await desk.run(["doctor", "server", "--env-file", join(folder, "server.env")]);
  expect(lines.stdout).toMatch(/^ok {4}schema +All \d+ migrations were made\.$/m);
  expect(lines.stdout).toMatch(/\d+ ok, \d+ to look at, 0 failed\n$/);
});

test("keys that others may read, and one that is gone, are named", async () => {
  await chmod(join(dataDir, "credential.key"), 0o644);
  await expectFailure("key credential.key", "may be read by others (mode 644)");
  await chmod(join(dataDir, "credential.key"), 0o600);
  await rm(join(dataDir, "admin-token"));
  await expectFailure("key admin-token", "is missing");
});

test("a certificate that ended, lacks a name, or lost its authority's key is named", async () => {
  const tls = join(dataDir, "tls");
  const authority = {
    certPem: await readFile(join(tls, "ca.crt"), "utf8"),
    keyPem: await readFile(join(tls, "ca.key"), "utf8"),
  };
  await expectFailure("certificate", "does not name agents.example.org", {
    ROLLCALL_AGENT_URLS: "agents.example.org:7171",
  });
  const ended = issueLeaf(authority, ["localhost"], new Date("2024-01-01T00:00:00Z"), systemRandom);
  await writeFile(join(tls, "server.pem"), ended.certPem + ended.keyPem);
  await expectFailure("certificate", "ended on 2024-12-31");
  await cp(join(plane.dataDir, "tls", "server.pem"), join(tls, "server.pem"));
  await writeFile(join(tls, "ca.key"), ended.keyPem, { mode: 0o600 });
  await expectFailure("authority", "is not the key of");
});

test("a database that is away, or that a newer server migrated, is named", async () => {
  const nobody = `postgres://nobody:secret@127.0.0.1:${await findQuietPort()}/none`;
  const { findings } = await examine({ ROLLCALL_DATABASE_URL: nobody });
  const found = findings.find(({ check }) => check === "database");
  expect(found).toMatchObject({ verdict: "fail" });
  expect(found?.found).toContain("ECONNREFUSED");
  expect(JSON.stringify(findings)).not.toContain("secret");
  await sql`insert into kysely_migration (name, timestamp) values ('9999-later', '')`.execute(plane.database.ownerDb);
  try {
    await expectFailure("schema", "9999-later");
  } finally {
    await sql`delete from kysely_migration where name = '9999-later'`.execute(plane.database.ownerDb);
  }
});

test("an embedded database that does not run, or is not there, is named", async () => {
  await expectFailure("database", "postgres", { ROLLCALL_DATABASE_URL: "" });
});

test("ports that nobody, or somebody else, answers are named", async () => {
  const port = await findQuietPort();
  await expectFailure("port of the web", `Nothing answers on 127.0.0.1:${port}`, {
    ROLLCALL_WEB_LISTEN: `127.0.0.1:${port}`,
  });
  await expectFailure("port of agents", `Nothing answers on 127.0.0.1:${port}`, {
    ROLLCALL_AGENT_LISTEN: `127.0.0.1:${port}`,
  });
  const other = createServer((socket) =>
    socket
      .on("error", () => undefined)
      .resume()
      .end("220 mail.example.org\r\n"),
  ).listen(0, "127.0.0.1");
  await once(other, "listening");
  const address = `127.0.0.1:${(other.address() as AddressInfo).port}`;
  await expectFailure("port of agents", "no Rollcall server", { ROLLCALL_AGENT_LISTEN: address });
  other.close();
  await once(other, "close");
});

test("a release that is damaged, gone, or lacks a platform of the fleet is named", async () => {
  const { hostId } = await plane.enrollAgent("arm-1");
  await sql`update hosts set arch = 'arm64' where id = ${hostId}`.execute(plane.database.ownerDb);
  await expectFailure("platforms", "linux-arm64 (1 host)");
  await plane.fleet.removeHost({ hostId });
  const artifact = join(releasesDir, NEW_VERSION, "linux-x64", "rollcall-agent");
  await appendFile(artifact, "x");
  await expectFailure("files of the target", "is damaged");
  await rename(artifact, `${artifact}.aside`);
  await expectFailure("files of the target", "no such file");
});

test("a setting that cannot be ends the examination", async () => {
  await expectFailure("settings", "ROLLCALL_AGENT_LISTEN must be address:port", { ROLLCALL_AGENT_LISTEN: "here" });
});
