import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { afterAll, expect, test } from "vitest";
import { requestTunnel } from "../../../agent/proxy/request-tunnel.ts";
import { findOpenSockets } from "../open-sockets.ts";

const SERVER = "fleet.example:7171";

afterAll(async () => expect(await findOpenSockets()).toEqual([]));

interface Dialled {
  readonly socket: Socket;
  readonly name: string;
  /** What the proxy read. */
  readonly asked: () => string;
  /** What the caller is told; `undefined` for a tunnel. */
  readonly problem: string | undefined;
}

/** Dials a peer that does as told with the first bytes that it reads. */
async function ask(
  answer: (peer: Socket) => void,
  look: (dialled: Dialled) => Promise<void> | void,
  credentials?: string,
  limitMs?: number,
): Promise<void> {
  let asked = "";
  const server = createServer((peer) => {
    peer.on("error", () => undefined);
    peer.once("data", (bytes: Buffer) => {
      asked += bytes.toString();
      answer(peer);
    });
  });
  server.listen({ host: "127.0.0.1", port: 0 });
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const socket = connect({ host: "127.0.0.1", port });
  try {
    await once(socket, "connect");
    const problem = await requestTunnel(socket, { host: "127.0.0.1", port, credentials }, SERVER, limitMs).then(
      () => undefined,
      (error: unknown) => (error as Error).message,
    );
    await look({ socket, name: `the proxy 127.0.0.1:${port}`, asked: () => asked, problem });
  } finally {
    const closed = once(server, "close");
    socket.destroy();
    server.close();
    await closed;
  }
}

test("a tunnel is asked for by the server's name, and with the credentials where there are some", async () => {
  const accept = (peer: Socket): void => void peer.end("HTTP/1.0 200 OK\r\n\r\n");
  await ask(accept, ({ asked, problem }) => {
    expect(problem).toBeUndefined();
    expect(asked()).toBe(`CONNECT ${SERVER} HTTP/1.1\r\nHost: ${SERVER}\r\n\r\n`);
  });
  await ask(
    accept,
    ({ asked }) => {
      const [, encoded = ""] = /\r\nProxy-Authorization: Basic (\S+)\r\n\r\n$/.exec(asked()) ?? [];
      expect(Buffer.from(encoded, "base64").toString()).toBe("me:pässword");
    },
    "me:pässword",
  );
});

test("an answer may come in pieces and with headers, and what follows it is the server's", async () => {
  const answer = (peer: Socket): void => {
    peer.write("HTTP/1.1 200 Connection est");
    setImmediate(() => peer.end("ablished\r\nVia: a\r\n\r\nfirst words"));
  };
  await ask(answer, async ({ socket, problem }) => {
    expect(problem).toBeUndefined();
    const [bytes] = (await once(socket, "data")) as [Buffer];
    expect(bytes.toString()).toBe("first words");
  });
});

const say =
  (text: string) =>
  (peer: Socket): void =>
    void peer.end(text);

test.each<[string, (peer: Socket) => void, string | undefined, string]>([
  [
    "that forbids the server",
    say("HTTP/1.1 403 Forbidden\r\n\r\n"),
    undefined,
    ` does not let this host through to ${SERVER}: 403 Forbidden`,
  ],
  ["without words", say("HTTP/1.1 502\r\n\r\n"), undefined, ` does not let this host through to ${SERVER}: 502`],
  [
    "that wants credentials",
    say("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"),
    undefined,
    ' wants a user and a password in "https_proxy": 407 Proxy Authentication Required',
  ],
  [
    "that wants other credentials",
    say("HTTP/1.1 407 No\r\n\r\n"),
    "me:secret",
    ' refuses the user and the password in "https_proxy": 407 No',
  ],
  [
    "that means 407 and says 401",
    say("HTTP/1.0 401 Unauthorized\r\n\r\n"),
    "me:secret",
    ' refuses the user and the password in "https_proxy": 401 Unauthorized',
  ],
  ["that is none", say("220 mail.example ESMTP\r\n\r\n"), "me:secret", " does not answer as an HTTP proxy does"],
  ["that ends in its answer", say("HTTP/1.1 200 OK\r\n"), undefined, " closed the connection without an answer"],
  ["that breaks the connection", (peer) => void peer.resetAndDestroy(), "me:secret", ": read ECONNRESET"],
  [
    "that talks without end",
    say(`HTTP/1.1 200 ${"x".repeat(20_000)}`),
    undefined,
    " does not answer as an HTTP proxy does",
  ],
])("a proxy %s is named with what it did, without the credentials", async (_, answer, credentials, words) => {
  await ask(answer, ({ name, problem }) => expect(problem).toBe(name + words), credentials);
});

test("a proxy that says nothing is left", async () => {
  const look = ({ name, problem }: Dialled): void => expect(problem).toBe(`${name} gave no answer within 50 ms`);
  await ask(() => undefined, look, undefined, 50);
});
