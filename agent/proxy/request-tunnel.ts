/** CONNECT: asks a proxy to pass on bytes to a server. *Source*: RFC 9110, section 9.3.6. */
import type { Socket } from "node:net";
import { oneLine } from "../updater/one-line.ts";
import { proxyAddress, type HttpProxy } from "./http-proxy.ts";

/** *Units*: milliseconds. A proxy tries for a while to reach a server before it says that it cannot. */
const ANSWER_LIMIT_MS = 10_000;
/** *Units*: bytes. */
const MAX_ANSWER_BYTES = 16 * 1024;
const END_OF_HEAD = "\r\n\r\n";
const STATUS_PATTERN = /^HTTP\/1\.[01] ([0-9]{3})(?: ([^\r\n]*))?\r\n/;

/**
 * Resolves once whatever is written to `socket`, which is connected to `proxy`, goes
 * to `server`. The caller destroys the socket when this fails.
 *
 * *Throws* Error that names the proxy and says what it answered, never its credentials.
 */
export async function requestTunnel(
  socket: Socket,
  proxy: HttpProxy,
  server: string,
  limitMs: number = ANSWER_LIMIT_MS,
): Promise<void> {
  socket.write(composeRequest(proxy, server));
  const problem = explainAnswer(await readAnswer(socket, proxy, limitMs), proxy, server);
  if (problem !== undefined) throw new Error(problem);
}

function composeRequest(proxy: HttpProxy, server: string): string {
  const lines = [`CONNECT ${server} HTTP/1.1`, `Host: ${server}`];
  if (proxy.credentials !== undefined) {
    lines.push(`Proxy-Authorization: Basic ${Buffer.from(proxy.credentials).toString("base64")}`);
  }
  return `${lines.join("\r\n")}${END_OF_HEAD}`;
}

/** Reads up to the end of the answer's head and not a byte further: what follows is the server's. */
function readAnswer(socket: Socket, proxy: HttpProxy, limitMs: number): Promise<string> {
  const name = `the proxy ${proxyAddress(proxy)}`;
  const finished = new AbortController();
  return new Promise<string>((resolve, reject) => {
    let answer = Buffer.alloc(0);
    const listen = (event: string, listener: (error?: Error) => void): void => {
      socket.on(event, listener);
      finished.signal.addEventListener("abort", () => socket.off(event, listener));
    };
    listen("readable", () => {
      const chunk = socket.read() as Buffer | null;
      if (chunk === null) return;
      answer = Buffer.concat([answer, chunk]);
      const end = answer.indexOf(END_OF_HEAD);
      if (end < 0 && answer.length <= MAX_ANSWER_BYTES) return;
      const headBytes = end < 0 ? answer.length : end + END_OF_HEAD.length;
      // Listeners first: bytes that are put back would wake them.
      finished.abort();
      if (headBytes < answer.length) socket.unshift(answer.subarray(headBytes));
      resolve(answer.subarray(0, headBytes).toString("latin1"));
    });
    listen("error", (error) => reject(new Error(`${name}: ${error?.message}`, { cause: error })));
    listen("close", () => reject(new Error(`${name} closed the connection without an answer`)));
    listen("end", () => reject(new Error(`${name} closed the connection without an answer`)));
    listen("timeout", () => reject(new Error(`${name} gave no answer within ${limitMs} ms`)));
    socket.setTimeout(limitMs);
  }).finally(() => {
    finished.abort();
    socket.setTimeout(0);
    // Whatever comes later concerns whoever takes the socket over, and nobody when it is destroyed.
    socket.on("error", () => undefined);
  });
}

/** *Shape*: what is wrong, in words for an operator; `undefined` for a tunnel. */
function explainAnswer(answer: string, proxy: HttpProxy, server: string): string | undefined {
  const name = `the proxy ${proxyAddress(proxy)}`;
  const [, status, phrase = ""] = STATUS_PATTERN.exec(answer) ?? [];
  if (status === undefined || !answer.endsWith(END_OF_HEAD)) return `${name} does not answer as an HTTP proxy does`;
  if (status.startsWith("2")) return undefined;
  const words = oneLine(`${status} ${phrase}`, 80).trim();
  // Only 407 is right here, but there are proxies that say 401.
  if (status !== "407" && status !== "401") return `${name} does not let this host through to ${server}: ${words}`;
  return proxy.credentials === undefined
    ? `${name} wants a user and a password in "https_proxy": ${words}`
    : `${name} refuses the user and the password in "https_proxy": ${words}`;
}
