import { usageError } from "./command-error.ts";

const LOOPBACK = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/** The address of a server's web listener. *Throws* CommandError that says what is wrong with it. */
export function parseServerUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.pathname !== "/" || url.search + url.hash !== "")
    throw usageError(`${text} is no address of a server; it looks like https://rollcall.example.org:7170`);
  if (url.protocol === "http:" && !LOOPBACK.test(url.hostname))
    throw usageError(`${text}: a password or token may cross a network under TLS only; use https`);
  return url;
}
