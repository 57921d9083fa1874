import { EventEmitter, once } from "node:events";
import { get, request as httpsRequest } from "node:https";
import { connect as connectHttp2 } from "node:http2";
import { connect as connectTcp } from "node:net";
import { connect as connectTls } from "node:tls";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { afterAll, describe, expect, test, vi } from "vitest";
import { AccountService } from "../../../gen/rollcall/v1/account_pb.js";
import { listenForWeb, type WebListener, type WebListenOptions } from "../../../server/api/web-listener.ts";
import { addUser, PASSWORD } from "../../support/account-fixture.ts";
import { startControlPlane } from "../../support/control-plane.ts";
import { realClock } from "../../support/real-clock.ts";
import { ManualClock } from "../stream/manual-clock.ts";
import { openResources } from "../stream/open-resources.ts";
import { authority, leaf } from "../stream/test-listener.ts";

/** An address on loopback that does not look like one, so that the server speaks TLS as it does on a network. */
const NETWORK_LIKE_HOST = "127.1";

afterAll(() => vi.waitFor(() => expect(openResources()).toEqual([])));

function listen(options: Partial<WebListenOptions> = {}): Promise<WebListener> {
  return listenForWeb({
    host: "127.0.0.1",
    port: 0,
    handler: (request, response) => {
      response.end(`HTTP/${request.httpVersion}`);
    },
    clock: realClock,
    ...options,
  });
}

/** Sends raw bytes and tells what came back until the connection ended. */
async function exchange(port: number, bytes: string, localAddress = "127.0.0.1"): Promise<string> {
  const socket = connectTcp({ port, host: "127.0.0.1", localAddress });
  const received: string[] = [];
  socket.on("data", (chunk: Buffer) => received.push(chunk.toString()));
  socket.on("error", (error: NodeJS.ErrnoException) => received.push(error.code ?? "error"));
  const closed = new Promise((resolve) => socket.on("close", resolve));
  socket.write(bytes);
  await closed;
  return received.join("");
}

describe("under TLS one port speaks", () => {
  test("HTTP/2 and HTTP/1.1, as the client asks for by ALPN", async () => {
    await using web = await listen({ certificate: leaf() });
    const { port } = web.address;
    const http1 = await new Promise<string>((resolve, reject) => {
      get({ host: "127.0.0.1", port, ca: authority.certPem, agent: false }, (response) => {
        response.setEncoding("utf8");
        response.on("data", resolve);
      }).on("error", reject);
    });
    expect(http1).toBe("HTTP/1.1");
    const session = connectHttp2(`https://127.0.0.1:${port}`, { ca: authority.certPem });
    const stream = session.request({ ":path": "/" });
    stream.setEncoding("utf8");
    const [body] = (await once(stream, "data")) as [string];
    expect(body).toBe("HTTP/2.0");
    session.close();
    await once(session, "close");
  });

  test("nothing without TLS, nothing older than TLS 1.2, and goes on after both", async () => {
    await using web = await listen({ certificate: leaf() });
    const { port } = web.address;
    expect(await exchange(port, "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")).not.toContain("200");
    const old = connectTls({
      port,
      host: "127.0.0.1",
      ca: authority.certPem,
      maxVersion: "TLSv1.1",
      minVersion: "TLSv1",
    });
    const [error] = (await once(old, "error")) as [Error];
    expect(error.message).toMatch(/protocol|version|no protocols/i);
    const fresh = connectTls({ port, host: "127.0.0.1", ca: authority.certPem });
    await once(fresh, "secureConnect");
    fresh.destroy();
    await once(fresh, "close");
  });

  test("with a certificate that can be exchanged while it runs", async () => {
    await using web = await listen({ certificate: leaf() });
    const serial = async (): Promise<string> => {
      const socket = connectTls({ port: web.address.port, host: "127.0.0.1", ca: authority.certPem });
      await once(socket, "secureConnect");
      const { serialNumber } = socket.getPeerCertificate();
      socket.destroy();
      await once(socket, "close");
      return serialNumber;
    };
    const before = await serial();
    web.renewCertificate(leaf());
    expect(await serial()).not.toBe(before);
  });
});

describe("a client that dawdles is sent away", () => {
  const timeouts = { firstBytesMs: 300, headersMs: 300, requestMs: 600 };

  test("before its first byte", async () => {
    await using web = await listen({ timeouts });
    expect(await exchange(web.address.port, "")).toBe("");
  });

  test("before its TLS handshake", async () => {
    await using web = await listen({ timeouts, certificate: leaf() });
    await exchange(web.address.port, "");
  });

  test("in the middle of its headers", async () => {
    await using web = await listen({ timeouts });
    expect(await exchange(web.address.port, "GET / HTTP/1.1\r\nhost: local")).toContain("408 Request Timeout");
  });

  test("in the middle of its body", async () => {
    await using web = await listen({
      timeouts,
      handler: (request, response) => {
        request.resume();
        request.on("end", () => response.end("all of it"));
      },
    });
    const answer = await exchange(
      web.address.port,
      "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\nabc",
    );
    expect(answer).not.toContain("200");
  });

  test("in an upload only once it stops moving", async () => {
    const clock = new ManualClock();
    const arrivals = new EventEmitter();
    let receivedBytes = 0;
    const until = async (bytes: number): Promise<void> => {
      while (receivedBytes < bytes) await once(arrivals, "data");
    };
    await using web = await listen({
      clock,
      timeouts: { requestMs: 400 },
      uploadPaths: new Set(["/upload"]),
      handler: (request) =>
        request.on("data", (chunk: Buffer) => {
          receivedBytes += chunk.length;
          arrivals.emit("data");
        }),
    });
    const socket = connectTcp({ port: web.address.port, host: "127.0.0.1" });
    const closed = once(socket, "close");
    socket.resume();
    socket.write("POST /upload HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\n");
    for (let part = 1; part <= 3; part += 1) {
      socket.write(Buffer.alloc(200_000));
      await until(part * 200_000);
      clock.advance(400);
      expect(socket.destroyed).toBe(false);
    }
    socket.write(Buffer.alloc(1_000));
    await until(601_000);
    clock.advance(400);
    await closed;
  });
});

test("only the trusted proxy may connect", async () => {
  await using web = await listen({ onlyPeer: "127.0.0.1" });
  const request = "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
  expect(await exchange(web.address.port, request)).toContain("200");
  expect(await exchange(web.address.port, request, "127.0.0.2")).toBe("ECONNRESET");
  await using tls = await listen({ onlyPeer: "127.0.0.9", certificate: leaf() });
  const stranger = connectTls({ port: tls.address.port, host: "127.0.0.1", ca: authority.certPem });
  const [refused] = (await once(stranger, "error")) as [NodeJS.ErrnoException];
  expect(refused.code).toBe("ECONNRESET");
});

describe("a server on a network", () => {
  test("speaks TLS with its own authority's certificate, and its cookies are bound to it", async () => {
    await using plane = await startControlPlane(undefined, undefined, {
      ROLLCALL_WEB_LISTEN: `${NETWORK_LIKE_HOST}:0`,
    });
    expect(plane.web).toMatch(/^https:\/\//);
    await addUser(plane.database, "alice", "viewer");
    const headers = { "content-type": "application/json", origin: plane.web };
    const answer = await new Promise<{ readonly status: number; readonly headers: NodeJS.Dict<string | string[]> }>(
      (resolve, reject) => {
        const url = `${plane.web}/rollcall.v1.AccountService/Login`;
        const sent = httpsRequest(url, { method: "POST", ca: plane.caPem, headers, agent: false }, (response) => {
          response.resume();
          response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers }));
        });
        sent.on("error", reject);
        sent.end(JSON.stringify({ username: "alice", password: PASSWORD }));
      },
    );
    expect(answer.status).toBe(200);
    expect(answer.headers["set-cookie"]).toEqual([
      expect.stringMatching(
        /^__Host-rollcall_session=rc_session_[\w-]{43}; Path=\/; Max-Age=60(?:4800|47\d\d); HttpOnly; SameSite=Strict; Secure$/,
      ),
    ]);
    expect(answer.headers).toMatchObject({
      "strict-transport-security": "max-age=31536000",
      "x-content-type-options": "nosniff",
      "cache-control": "no-store",
      "content-security-policy": expect.stringContaining("frame-ancestors 'none'") as string,
    });
  });

  test("is plain behind the proxy that it trusts, and believes what that says", async () => {
    await using plane = await startControlPlane(undefined, undefined, {
      ROLLCALL_TRUST_PROXY: "127.0.0.1",
      ROLLCALL_PUBLIC_URL: "https://rollcall.example.org",
    });
    expect(plane.web).toMatch(/^http:\/\//);
    await addUser(plane.database, "alice", "viewer");
    const login = (more: Record<string, string>) =>
      fetch(`${plane.web}/rollcall.v1.AccountService/Login`, {
        method: "POST",
        headers: { "content-type": "application/json", ...more },
        body: JSON.stringify({ username: "alice", password: PASSWORD }),
      });
    const insecure = await login({});
    expect(await insecure.text()).toContain("over https");
    expect(insecure.headers.get("set-cookie")).toBeNull();
    expect(insecure.headers.get("strict-transport-security")).toBeNull();
    const secure = await login({
      "x-forwarded-proto": "https",
      "x-forwarded-for": "6.6.6.6, 198.51.100.7",
      origin: "https://rollcall.example.org",
    });
    await secure.text();
    const cookie = (secure.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
    expect(cookie).toMatch(/^__Host-/);
    expect(secure.headers.get("strict-transport-security")).toBe("max-age=31536000");
    const accounts = createClient(
      AccountService,
      createConnectTransport({
        baseUrl: plane.web,
        httpVersion: "1.1",
        interceptors: [
          (next) => (request) => {
            for (const [name, value] of Object.entries({
              cookie,
              "x-forwarded-proto": "https",
              origin: "https://rollcall.example.org",
            }))
              request.header.set(name, value);
            return next(request);
          },
        ],
      }),
    );
    const { sessions } = await accounts.listSessions({});
    // The last entry is the proxy's; the first is what the client made up.
    expect(sessions).toMatchObject([{ address: "198.51.100.7" }]);
    expect(plane.log.join("\n")).not.toContain(PASSWORD);
  });
});
