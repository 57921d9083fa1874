import { createHash, X509Certificate } from "node:crypto";
import { createServer } from "node:https";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { connect } from "node:tls";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock, systemRandom } from "../../server/clock-system.ts";
import { createAuthority, createKeyPem, issueLeaf } from "../../server/stream/certificate-authority.ts";
import { startControlPlane, type ControlPlane } from "../support/control-plane.ts";
import { Desk, expectEnd } from "./run-rollcall.ts";

let plane: ControlPlane;
let web: string;

beforeAll(async () => {
  // Every address but loopback is spoken to under TLS.
  plane = await startControlPlane({}, undefined, { ROLLCALL_WEB_LISTEN: "0.0.0.0:0" });
  web = `https://127.0.0.1:${new URL(plane.web).port}`;
});

afterAll(() => plane[Symbol.asyncDispose]());

/** As the line that installs an agent has it. */
async function readPin(): Promise<string> {
  const socket = connect({ host: "127.0.0.1", port: Number(new URL(web).port), rejectUnauthorized: false });
  await once(socket, "secureConnect");
  const certificate = socket.getPeerX509Certificate();
  socket.destroy();
  if (certificate === undefined) throw new Error("the server showed no certificate");
  return pinOf(certificate);
}

function pinOf(certificate: X509Certificate): string {
  const spki = certificate.publicKey.export({ type: "spki", format: "der" });
  return `sha256//${createHash("sha256").update(spki).digest("base64")}`;
}

test("a server is trusted by its authority or by its key, and by nothing else", async () => {
  await using desk = await Desk.open();
  const login = (...words: string[]) =>
    desk.run(["login", web, "--token-stdin", ...words], { input: plane.adminToken });
  const untrusted = await login();
  expectEnd(untrusted, 3, "is not trusted");
  expect(untrusted.stderr).toContain("--ca-file");
  expectEnd(await login("--ca-file", join(plane.dataDir, "tls", "ca.crt")), 0, "Signed in");
  expectEnd(await desk.run(["hosts", "list"]), 0, "There are no hosts yet.");
  expectEnd(await login("--pin", await readPin()), 0, "Signed in");
  expectEnd(await desk.run(["hosts", "list"]), 0, "There are no hosts yet.");
  expectEnd(await login("--pin", "sha256//nothing"), 2, "is no pin");
  expectEnd(await login("--ca-file", join(plane.dataDir, "admin-token")), 2, "holds no certificate");
});

test("nothing is sent to a server whose key is another one", async () => {
  const key = createKeyPem();
  const authority = createAuthority(key, systemClock.now(), systemRandom);
  const leaf = issueLeaf(authority, ["127.0.0.1"], systemClock.now(), systemRandom);
  const asked: string[] = [];
  const impostor = createServer({ key: leaf.keyPem, cert: leaf.certPem }, (request, response) => {
    asked.push(request.url ?? "");
    response.end();
  }).listen(0, "127.0.0.1");
  await once(impostor, "listening");
  const address = `https://127.0.0.1:${(impostor.address() as AddressInfo).port}`;
  await using desk = await Desk.open();
  const words = ["login", address, "--token-stdin", "--pin", await readPin()];
  expectEnd(await desk.run(words, { input: plane.adminToken }), 3, "is not trusted");
  const env = { ROLLCALL_SERVER: address, ROLLCALL_TOKEN: plane.adminToken, ROLLCALL_PIN: await readPin() };
  expectEnd(await desk.run(["hosts", "list"], { env }), 3, `${pinOf(new X509Certificate(leaf.certPem))}, and`);
  expect(asked).toEqual([]);
  impostor.close();
  await once(impostor, "close");
});
