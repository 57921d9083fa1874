import { expect, test } from "vitest";
import { chooseProxy } from "../../../agent/proxy/choose-proxy.ts";
import { isExcepted, parseProxyException } from "../../../agent/proxy/proxy-exception.ts";

test.each<[string, readonly string[], readonly string[]]>([
  ["*", ["a.example:7171", "10.0.0.1:1", "[::1]:1"], []],
  ["*:7171", ["a.example:7171", "[::1]:7171"], ["a.example:7172"]],
  [
    "example.org",
    ["example.org:1", "a.example.org:1", "b.a.EXAMPLE.org:1"],
    ["badexample.org:1", "example.org.evil:1"],
  ],
  ["Example.ORG.", ["example.org:1", "example.org.:1"], ["org:1"]],
  [".example.org", ["a.example.org:1", "example.org:1"], ["aexample.org:1"]],
  ["*.example.org", ["a.example.org:1", "example.org:1"], ["aexample.org:1"]],
  ["example.org:7171", ["a.example.org:7171"], ["a.example.org:443"]],
  ["localhost", ["localhost:7171"], ["127.0.0.1:7171"]],
  ["10.0.0.1", ["10.0.0.1:1"], ["10.0.0.10:1", "110.0.0.1:1"]],
  ["10.0.0.1:7171", ["10.0.0.1:7171"], ["10.0.0.1:1"]],
  ["10.0.0.0/8", ["10.255.0.1:1"], ["11.0.0.1:1", "10.example:1", "[::1]:1"]],
  ["0.0.0.0/0", ["8.8.8.8:1"], ["name.example:1"]],
  ["192.168.1.128/25", ["192.168.1.200:1"], ["192.168.1.100:1"]],
  ["::1", ["[::1]:1", "[0:0::1]:1"], ["[::2]:1"]],
  ["[::1]:7171", ["[::1]:7171"], ["[::1]:1"]],
  ["fd00::/8", ["[fd12::1]:1"], ["[fe80::1]:1", "10.0.0.1:1"]],
])("%s excepts what it names and nothing else", (entry, excepted, others) => {
  const exception = parseProxyException(entry);
  if (exception === undefined) throw new Error("it was not understood");
  const isHeld = (server: string): boolean => isExcepted([exception], server);
  expect(excepted.filter((server) => !isHeld(server))).toEqual([]);
  expect(others.filter(isHeld)).toEqual([]);
});

test.each([
  "http://a",
  "a b",
  "a:0",
  "a:65536",
  "a:x",
  "-a",
  ".",
  "a..b",
  "**",
  "a.*",
  "10.0.0.0/33",
  "10.0.0/8",
  "10.0.0",
  "10.0.0.256",
  "10.0.0.0/8/8",
  "10.0.0.0/8:7171",
  "fd00::/129",
  "a/8",
  "[10.0.0.1]",
  "[::1",
  "[::1]x",
])("%j is refused instead of excepting nothing", (entry) => {
  expect(parseProxyException(entry)).toBeUndefined();
});

test("of several entries one is enough to go without the proxy", () => {
  const httpsProxy = { host: "proxy.example", port: 3128, credentials: undefined };
  const noProxy = ["a.example", "10.0.0.0/8"].flatMap((entry) => parseProxyException(entry) ?? []);
  expect(noProxy).toHaveLength(2);
  expect(chooseProxy({ httpsProxy, noProxy }, "10.1.1.1:7171")).toBeUndefined();
  expect(chooseProxy({ httpsProxy, noProxy }, "b.example:7171")).toBe(httpsProxy);
  expect(chooseProxy({ httpsProxy: undefined, noProxy }, "b.example:7171")).toBeUndefined();
});
