/** Who may upload, as long as they upload. */
import { readdir } from "node:fs/promises";
import { connect } from "node:net";
import { ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findOpenSockets } from "../../agent/open-sockets.ts";
import { accountsOf } from "../../support/account-client.ts";
import { addApiToken } from "../../support/account-fixture.ts";
import { createFleetClient, startControlPlane, type ControlPlane } from "../../support/control-plane.ts";
import { makeUpload, messagesOf } from "../../support/release-upload.ts";

let plane: ControlPlane;
beforeAll(async () => {
  plane = await startControlPlane();
});
afterAll(async () => {
  await plane[Symbol.asyncDispose]();
  expect(await findOpenSockets()).toEqual([]);
});

/** Announces an upload, sends no byte of it, and tells what comes back. */
async function answerTo(authorization: string): Promise<string> {
  const { port, host } = new URL(plane.web);
  const socket = connect(Number(port), "127.0.0.1");
  try {
    socket.write(
      `POST /rollcall.v1.FleetService/ImportRelease HTTP/1.1\r\nhost: ${host}\r\n${authorization}` +
        "content-type: application/connect+proto\r\nconnect-protocol-version: 1\r\ncontent-length: 100000000\r\n\r\n",
    );
    let received = "";
    for await (const chunk of socket.setEncoding("utf8")) {
      received += String(chunk);
      if (received.includes("}}")) break;
    }
    return received;
  } finally {
    socket.destroy();
  }
}

test("a stranger is refused before a byte of the upload is read", async () => {
  expect(await answerTo("")).toContain('"code":"unauthenticated"');
  expect(await answerTo("authorization: Bearer rc_api_wrong\r\n")).toContain('"code":"unauthenticated"');
});

test("whoever is no admin is refused before a byte of the upload is read", async () => {
  const { secret } = await addApiToken(plane.database, "operator");
  const answer = await answerTo(`authorization: Bearer ${secret}\r\n`);
  expect(answer).toContain('"code":"permission_denied"');
  expect(answer).toContain("ImportRelease needs the role admin.");
});

test("an upload ends when its token is revoked, and leaves nothing", async () => {
  const { id, secret } = await addApiToken(plane.database, "admin");
  const upload = await makeUpload({ version: "3.0.0", sequence: 3, artifact: Buffer.alloc(500_000, 3) });
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  const listNames = () => readdir(plane.releasesDir);
  const before = await listNames();
  const stuck = async function* () {
    let sent = 0;
    for await (const message of messagesOf(upload)) {
      if (sent === 3) await ended;
      yield message;
      sent += 1;
    }
  };
  const failure = createFleetClient(plane.web, secret)
    .importRelease(stuck())
    .then(
      () => undefined,
      (error: unknown) => ConnectError.from(error).rawMessage,
    );
  await expect.poll(listNames).toHaveLength(before.length + 1);
  await accountsOf(plane.web, plane.adminToken).revokeApiToken({ apiTokenId: id });
  expect(await failure).toBe("Your session or token has ended.");
  end();
  await expect.poll(listNames).toEqual(before);
  expect((await plane.fleet.listReleases({})).releases).toHaveLength(1);
});
