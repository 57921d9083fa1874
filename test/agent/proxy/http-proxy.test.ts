import { expect, test } from "vitest";
import { parseHttpProxy, proxyAddress } from "../../../agent/proxy/http-proxy.ts";

test.each([
  ["http://proxy.example:3128", { host: "proxy.example", port: 3128, credentials: undefined }],
  ["http://proxy.example:3128/", { host: "proxy.example", port: 3128, credentials: undefined }],
  ["http://proxy.example", { host: "proxy.example", port: 80, credentials: undefined }],
  ["HTTP://10.0.0.1:8080", { host: "10.0.0.1", port: 8080, credentials: undefined }],
  ["http://[fd00::1]:3128", { host: "fd00::1", port: 3128, credentials: undefined }],
  ["http://me:secret@a:1", { host: "a", port: 1, credentials: "me:secret" }],
  ["http://me@a:1", { host: "a", port: 1, credentials: "me:" }],
  ["http://d%5Cme:p%40ss%3Aword%C3%A4@a:1", { host: "a", port: 1, credentials: "d\\me:p@ss:wordä" }],
])("%s is a proxy", (text, proxy) => {
  expect(parseHttpProxy(text)).toEqual(proxy);
});

test.each([
  "",
  "proxy.example:3128",
  "proxy.example",
  "https://proxy.example:3128",
  "socks5://proxy.example:1080",
  "http://proxy.example:0",
  "http://proxy.example:65536",
  "http://proxy.example:3128/path",
  "http://proxy.example:3128?query",
  "http://a%3Ab:secret@proxy.example:3128",
  "http://me:secret%0a@proxy.example:3128",
  "http://me:%ff@proxy.example:3128",
  "http://",
])("%j is none", (text) => {
  expect(parseHttpProxy(text)).toBeUndefined();
});

test("a proxy is told by its address, without the credentials", () => {
  expect(proxyAddress({ host: "fd00::1", port: 3128, credentials: "me:secret" })).toBe("[fd00::1]:3128");
  expect(proxyAddress({ host: "proxy.example", port: 80, credentials: "me:secret" })).toBe("proxy.example:80");
});
