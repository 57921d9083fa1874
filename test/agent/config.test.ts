import { describe, expect, test } from "vitest";
import { parseConfig } from "../../agent/config.ts";
import { OperatorError } from "../../agent/operator-error.ts";

const PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
const GOOD = { servers: ["fleet.example:7171"], ca_pem: PEM };

function parse(fields: object): ReturnType<typeof parseConfig> {
  return parseConfig(JSON.stringify(fields), "agent.json");
}

describe("a configuration", () => {
  test("gets defaults for what it leaves out", () => {
    expect(parse(GOOD)).toEqual({
      servers: ["fleet.example:7171"],
      roots: { kind: "pem", pem: PEM },
      reserveBytes: 64 * 1024 * 1024,
      hostname: undefined,
      installRevision: 0,
      followsServer: true,
      httpsProxy: undefined,
      noProxy: [],
    });
  });

  test("may name several servers of any kind, another trust, a name, a reserve and a revision", () => {
    const servers = ["10.0.0.1:1", "[::1]:65535", "a-b_c.example:80"];
    expect(parse({ servers, ca: "system", hostname: "web-1", reserve_bytes: 0, install_revision: 3 })).toEqual({
      servers,
      roots: { kind: "system" },
      reserveBytes: 0,
      hostname: "web-1",
      installRevision: 3,
      followsServer: true,
      httpsProxy: undefined,
      noProxy: [],
    });
    expect(parse({ servers, ca_file: "ca.pem" }).roots).toEqual({ kind: "file", path: "ca.pem" });
  });

  test("may name a proxy, and servers that are reached without it", () => {
    const { httpsProxy, noProxy } = parse({
      ...GOOD,
      https_proxy: "http://me:secret@a:1",
      no_proxy: "b, .c  10.0.0.0/8,",
    });
    expect(httpsProxy).toEqual({ host: "a", port: 1, credentials: "me:secret" });
    expect(noProxy.map(({ kind }) => kind)).toEqual(["name", "name", "range"]);
  });

  test("with a proxy that is none is refused without repeating its password", () => {
    const wrong = { ...GOOD, https_proxy: "ftp://me:secret@a:1" };
    expect(() => parse(wrong)).toThrow('"https_proxy"');
    expect(() => parse(wrong)).not.toThrow("secret");
  });

  test.each<[string, object, string]>([
    ["an unknown field", { ...GOOD, sever: 1 }, 'unknown field "sever"'],
    ["a switch that is none", { ...GOOD, follow_server: "no" }, '"follow_server" must be true or false'],
    ["no servers", { ca_pem: PEM }, '"servers"'],
    ["an empty list of servers", { ...GOOD, servers: [] }, '"servers"'],
    ["too many servers", { ...GOOD, servers: Array.from({ length: 17 }, () => "a:1") }, "at most 16"],
    ["a server without port", { ...GOOD, servers: ["a:1", "fleet.example"] }, '"servers[1]"'],
    ["port 0", { ...GOOD, servers: ["a:0"] }, '"servers[0]"'],
    ["a port too high", { ...GOOD, servers: ["a:65536"] }, '"servers[0]"'],
    ["a URL as server", { ...GOOD, servers: ["https://a:1"] }, '"servers[0]"'],
    ["a server that is no text", { ...GOOD, servers: [7] }, '"servers[0]"'],
    ["nobody to trust", { servers: ["a:1"] }, 'exactly one of "ca_pem"'],
    ["two to trust", { ...GOOD, ca: "system" }, 'exactly one of "ca_pem"'],
    ["another word for the system's", { servers: ["a:1"], ca: "any" }, '"ca"'],
    ["an empty path", { servers: ["a:1"], ca_file: "" }, '"ca_file"'],
    ["no certificate", { servers: ["a:1"], ca_pem: "hello" }, '"ca_pem"'],
    ["a negative reserve", { ...GOOD, reserve_bytes: -1 }, '"reserve_bytes"'],
    ["a reserve in words", { ...GOOD, reserve_bytes: "1 GB" }, '"reserve_bytes"'],
    ["half a revision", { ...GOOD, install_revision: 0.5 }, '"install_revision"'],
    ["a proxy that speaks TLS", { ...GOOD, https_proxy: "https://a:1" }, '"https_proxy" must be "http://'],
    ["a proxy that is no text", { ...GOOD, https_proxy: 7 }, '"https_proxy"'],
    ["a list of exceptions", { ...GOOD, no_proxy: ["a"] }, '"no_proxy" must be a text'],
    ["an exception that is none", { ...GOOD, no_proxy: "a, 10.0.0.0/33" }, '"no_proxy" holds "10.0.0.0/33"'],
    ["a hostname with a blank", { ...GOOD, hostname: "web 1" }, '"hostname"'],
    ["a list", [], "must be a JSON object"],
  ])("with %s is refused by name", (_, fields, words) => {
    expect(() => parse(fields)).toThrow(OperatorError);
    expect(() => parse(fields)).toThrow(words);
    expect(() => parse(fields)).toThrow("agent.json: ");
  });

  test("that is no JSON says so", () => {
    expect(() => parseConfig("{", "agent.json")).toThrow("agent.json: is no JSON");
  });
});
