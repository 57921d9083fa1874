import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { promisify } from "node:util";
import { connect as connectHttp2 } from "node:http2";
import { once } from "node:events";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findOpenSockets } from "../../agent/open-sockets.ts";
import { addUser } from "../../support/account-fixture.ts";
import { Browser } from "../../support/account-client.ts";
import { PASSWORD } from "../../support/account-fixture.ts";
import { NEW_VERSION, startControlPlane, type ControlPlane } from "../../support/control-plane.ts";
import { makeUpload, messagesOf } from "../../support/release-upload.ts";
import { createTestKey, nameKey, signKeySet } from "../../support/test-keys.ts";
import { TEST_PUBLISHER } from "../../support/test-release.ts";
import { repositoryRoot } from "../../toolchain/repository-root.ts";

afterAll(async () => expect(await findOpenSockets()).toEqual([]));

let plane: ControlPlane;
let artifact: Buffer;
let enrollmentToken: string;
beforeAll(async () => {
  plane = await startControlPlane();
  artifact = await readFile(join(plane.releasesDir, NEW_VERSION, "linux-x64", "rollcall-agent"));
  enrollmentToken = (await plane.fleet.createEnrollmentToken({ label: "first install" })).token;
});
afterAll(() => plane[Symbol.asyncDispose]());

const ARTIFACT = `/releases/${NEW_VERSION}/linux-x64/rollcall-agent`;

async function download(path: string, headers: Record<string, string> = {}, method = "GET") {
  const authorization = `Bearer ${enrollmentToken}`;
  const response = await fetch(plane.web + path, {
    method,
    headers: { authorization, connection: "close", ...headers },
  });
  return { status: response.status, headers: response.headers, body: Buffer.from(await response.arrayBuffer()) };
}

describe("a release's files", () => {
  test("are those that were checked, with their lengths and types, and are not cached", async () => {
    const folder = join(plane.releasesDir, NEW_VERSION);
    const types: Record<string, string> = {
      "manifest.json": "application/json",
      "manifest.json.minisig": "text/plain; charset=utf-8",
      "keys.json": "application/json",
      "keys.json.minisig": "text/plain; charset=utf-8",
      "linux-x64/rollcall-agent": "application/octet-stream",
    };
    for (const [file, type] of Object.entries(types)) {
      const expected = await readFile(join(folder, file));
      for (const version of [NEW_VERSION, "target"]) {
        const answer = await download(`/releases/${version}/${file}`);
        expect([file, answer.status, answer.body.equals(expected)]).toEqual([file, 200, true]);
        expect(answer.headers.get("content-length")).toBe(String(expected.length));
        expect(answer.headers.get("content-type")).toBe(type);
        expect(answer.headers.get("cache-control")).toBe("no-store");
      }
    }
  });

  test("come with their lengths alone for HEAD", async () => {
    const answer = await download(ARTIFACT, {}, "HEAD");
    expect([answer.status, answer.body.length]).toEqual([200, 0]);
    expect(answer.headers.get("content-length")).toBe(String(artifact.length));
    expect(answer.headers.get("accept-ranges")).toBe("bytes");
  });

  test("come over HTTP/2 too", async () => {
    const session = connectHttp2(plane.web);
    const stream = session.request({ ":path": ARTIFACT, authorization: `Bearer ${enrollmentToken}` });
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    await once(stream, "end");
    expect(Buffer.concat(chunks).equals(artifact)).toBe(true);
    session.close();
    await once(session, "close");
  });

  test("are resumed where they broke off, unless they are others by now", async () => {
    const size = artifact.length;
    const parts: readonly (readonly [string, number, number])[] = [
      ["bytes=100000-", 100_000, size - 1],
      ["bytes=0-0", 0, 0],
      ["bytes=10-99", 10, 99],
      [`bytes=10-${size + 500}`, 10, size - 1],
      ["bytes=-1000", size - 1000, size - 1],
      [`bytes=-${size + 500}`, 0, size - 1],
    ];
    for (const [range, first, last] of parts) {
      const answer = await download(ARTIFACT, { range });
      expect([range, answer.status]).toEqual([range, 206]);
      expect(answer.headers.get("content-range")).toBe(`bytes ${first}-${last}/${size}`);
      expect(answer.headers.get("content-length")).toBe(String(last - first + 1));
      expect(answer.body.equals(artifact.subarray(first, last + 1))).toBe(true);
    }
    for (const range of [`bytes=${size}-`, "bytes=-0"]) {
      const answer = await download(ARTIFACT, { range });
      expect([range, answer.status]).toEqual([range, 416]);
      expect(answer.headers.get("content-range")).toBe(`bytes */${size}`);
    }
    for (const range of ["bytes=5-4", "bytes=a-b", "lines=1-2", "bytes=0-1,5-6", "bytes=-"])
      expect([range, (await download(ARTIFACT, { range })).status]).toEqual([range, 200]);
    const etag = (await download(ARTIFACT, {}, "HEAD")).headers.get("etag") ?? "";
    expect((await download(ARTIFACT, { range: "bytes=5-", "if-range": etag })).status).toBe(206);
    expect((await download(ARTIFACT, { range: "bytes=5-", "if-range": '"other"' })).status).toBe(200);
    const document = await download(`/releases/${NEW_VERSION}/manifest.json`, { range: "bytes=0-0" });
    expect([document.status, document.body.toString()]).toEqual([206, "{"]);
  });

  test("are those of a release and no others, however the path is written", async () => {
    const paths = [
      `/releases/${NEW_VERSION}/linux-x64/rollcall-agent.blocks`,
      `/releases/${NEW_VERSION}/linux-x64/../manifest.json`,
      `/releases/${NEW_VERSION}/../roots.pub`,
      `/releases/${NEW_VERSION}/linux-x64%2frollcall-agent`,
      `/releases/${NEW_VERSION}/linux-x64//rollcall-agent`,
      "/releases/9.9.9/manifest.json",
      "/releases/../data/admin-token",
      "/releases/%2e%2e/admin-token",
      `/releases/.import-x/manifest.json`,
    ];
    for (const path of paths) {
      // `fetch` would tidy the path up.
      const session = connectHttp2(plane.web);
      const stream = session.request({ ":path": path, authorization: `Bearer ${enrollmentToken}` });
      const [headers] = (await once(stream, "response")) as [Record<string, unknown>];
      expect([path, headers[":status"]]).toEqual([path, 404]);
      stream.resume();
      session.close();
      await once(session, "close");
    }
  });

  test("are only read", async () => {
    const answer = await download(ARTIFACT, {}, "POST");
    expect([answer.status, answer.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
  });

  test("that are lost or damaged on the disk are said to be", async () => {
    const upload = await makeUpload({ version: "3.0.0", sequence: 3, artifact: Buffer.alloc(1000, 1) });
    await plane.fleet.importRelease(messagesOf(upload));
    const path = join(plane.releasesDir, "3.0.0", "linux-x64", "rollcall-agent");
    await writeFile(path, "short");
    const damaged = await download("/releases/3.0.0/linux-x64/rollcall-agent");
    expect([damaged.status, damaged.body.toString()]).toEqual([
      503,
      "this server's copy is missing or damaged; import the release again\n",
    ]);
    await rm(path);
    expect((await download("/releases/3.0.0/linux-x64/rollcall-agent")).status).toBe(503);
  });

  test("come with the newest key set, whichever they were imported with", async () => {
    const second = createTestKey("second signing key");
    const keySet = signKeySet(TEST_PUBLISHER.roots[1], {
      sequence: 2n,
      signingKeys: [nameKey(TEST_PUBLISHER.signingKey), nameKey(second)],
    });
    const upload = await makeUpload({ version: "4.0.0", sequence: 4, artifact: Buffer.alloc(1000, 2), keySet });
    await plane.fleet.importRelease(messagesOf(upload));
    expect((await download(`/releases/${NEW_VERSION}/keys.json`)).body.equals(keySet.bytes)).toBe(true);
    expect((await download("/releases/target/keys.json.minisig")).body.equals(keySet.signature)).toBe(true);
  });
});

test("verifier, guard and units are what stands in the sources, and nothing else is to be had there", async () => {
  const files = {
    "verify-release.sh": "install/verify-release.sh",
    "rollcall-agent-guard": "guard/guard.sh",
    "rollcall-agent.service": "units/rollcall-agent.service",
    "rollcall-agent-guard.service": "units/rollcall-agent-guard.service",
  };
  for (const [name, source] of Object.entries(files)) {
    const answer = await download(`/install/${name}`);
    expect(answer.status).toBe(200);
    expect(answer.body.equals(await readFile(join(repositoryRoot, "agent", source)))).toBe(true);
  }
  for (const name of ["guard.sh", "..%2fconfig.ts", "toString"])
    expect([name, (await download(`/install/${name}`)).status]).toEqual([name, 404]);
});

test("the install script is for anybody, and says where it came from", async () => {
  const answer = await download("/install/install.sh", { authorization: "" });
  expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "text/x-shellscript; charset=utf-8"]);
  expect(answer.body.toString()).toContain(`\nserver_url='${plane.web}'\n`);
  expect(answer.body.toString()).toContain(`\nagent_addresses='${plane.agents}'\n`);
});

test("whoever makes a token is told the line that uses it", async () => {
  const { token, installCommand, windowsInstallCommand } = await plane.fleet.createEnrollmentToken({});
  expect(windowsInstallCommand).toContain(`${plane.web}/install/install.cmd && set "ROLLCALL_TOKEN=${token}" && `);
  expect(installCommand).toBe(`curl -fsS ${plane.web}/install/install.sh | ROLLCALL_TOKEN=${token} sh`);
});

test("what is downloaded with an enrolment token is verified by what is downloaded, in a shell", async () => {
  const folder = await mkdtemp(join(tmpdir(), "rollcall-first-install-"));
  try {
    await mkdir(join(folder, "linux-x64"));
    const documents = ["manifest.json", "manifest.json.minisig", "keys.json", "keys.json.minisig"];
    for (const file of [...documents, "linux-x64/rollcall-agent"])
      await writeFile(join(folder, file), (await download(`/releases/target/${file}`)).body);
    await writeFile(join(folder, "verify-release.sh"), (await download("/install/verify-release.sh")).body);
    const root = TEST_PUBLISHER.roots[1].publicKey.text;
    const flags = ["--root", root, "--root", TEST_PUBLISHER.roots[0].publicKey.text, "--platform", "linux-x64"];
    const { stdout } = await promisify(execFile)("sh", [join(folder, "verify-release.sh"), ...flags, folder]);
    expect(stdout).toMatch(`verified rollcall-agent ${NEW_VERSION} for linux-x64`);
  } finally {
    await rm(folder, { recursive: true });
  }
});

describe("whoever downloads", () => {
  const PATHS = [ARTIFACT, "/install/verify-release.sh", "/releases/target/manifest.json"];
  const statusesWith = async (authorization: string) =>
    Promise.all(PATHS.map(async (path) => (await download(path, { authorization }, "HEAD")).status));

  test("without a token, or with one that is wrong, is turned away before anything is looked for", async () => {
    for (const authorization of ["", "Bearer rc_enroll_wrong", "Bearer rc_api_wrong", "Basic eDp5"])
      expect([authorization, ...(await statusesWith(authorization))]).toEqual([authorization, 401, 401, 401]);
    const unknown = await download("/releases/9.9.9/manifest.json", { authorization: "" });
    expect([unknown.status, unknown.headers.get("www-authenticate")]).toEqual([401, "Bearer"]);
  });

  test("may use an enrolment token as long as a host could enrol with it, and does not use it up", async () => {
    const { token, tokenId } = await plane.fleet.createEnrollmentToken({});
    expect(await statusesWith(`Bearer ${token}`)).toEqual([200, 200, 200]);
    expect(await statusesWith(`Bearer ${token}`)).toEqual([200, 200, 200]);
    const { tokens } = await plane.fleet.listEnrollmentTokens({});
    expect(tokens.find(({ id }) => id === tokenId)?.uses).toBe(0);
    await plane.fleet.revokeEnrollmentToken({ tokenId });
    expect(await statusesWith(`Bearer ${token}`)).toEqual([401, 401, 401]);
  });

  test("may be anybody who may look at the fleet, but not from a page of another site", async () => {
    expect(await statusesWith(`Bearer ${plane.adminToken}`)).toEqual([200, 200, 200]);
    await addUser(plane.database, "vera", "viewer");
    const browser = new Browser(plane.web);
    await browser.accounts.login({ username: "vera", password: PASSWORD });
    const cookie = browser.cookie ?? "";
    const withCookie = (headers: Record<string, string>) =>
      fetch(plane.web + ARTIFACT, { method: "HEAD", headers: { cookie, ...headers, connection: "close" } });
    expect((await withCookie({ "sec-fetch-site": "same-origin" })).status).toBe(200);
    expect((await withCookie({ "sec-fetch-site": "cross-site" })).status).toBe(403);
    expect((await withCookie({})).status).toBe(403);
  });

  test("may be a host that is installed anew, until it is removed", async () => {
    const agent = await plane.enrollAgent("enrolled");
    expect(await statusesWith(`Bearer ${String(agent.credential)}`)).toEqual([200, 200, 200]);
    await plane.fleet.removeHost({ hostId: agent.hostId });
    expect(await statusesWith(`Bearer ${String(agent.credential)}`)).toEqual([401, 401, 401]);
  });

  test("through a proxy that did not get the request under TLS is refused", async () => {
    await using proxied = await startControlPlane({}, undefined, { ROLLCALL_TRUST_PROXY: "127.0.0.1" });
    const { token } = await proxied.fleet.createEnrollmentToken({});
    const ask = (forwarded: string) =>
      fetch(proxied.web + ARTIFACT, {
        method: "HEAD",
        headers: { authorization: `Bearer ${token}`, "x-forwarded-proto": forwarded, connection: "close" },
      });
    expect((await ask("http")).status).toBe(403);
    const script = await fetch(`${proxied.web}/install/install.sh`, { headers: { connection: "close" } });
    expect(script.status).toBe(403);
    expect((await ask("https")).status).toBe(200);
  });
});
