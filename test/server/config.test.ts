import { describe, expect, test } from "vitest";
import { certificateNames, ConfigError, isWebTls, readConfig, webHostnames } from "../../server/config.ts";

describe("the web listener", () => {
  test.each([
    ["127.0.0.1:7170", undefined, false],
    ["[::1]:7170", undefined, false],
    ["localhost:7170", undefined, false],
    ["0.0.0.0:7170", undefined, true],
    ["[::]:7170", undefined, true],
    ["10.1.2.3:7170", undefined, true],
    ["rollcall.example.org:7170", undefined, true],
    ["0.0.0.0:7170", "10.0.0.5", false],
  ])("on %s with the proxy %s speaks TLS: %s", (listen, proxy, isTls) => {
    const config = readConfig([], { ROLLCALL_WEB_LISTEN: listen, ROLLCALL_TRUST_PROXY: proxy });
    expect(isWebTls(config)).toBe(isTls);
  });

  test("goes by the names it was given, and its certificate has them once it speaks TLS", () => {
    const plain = readConfig([], { ROLLCALL_PUBLIC_URL: "https://Rollcall.example.org:8443" });
    expect([...webHostnames(plain, "Host-1")].toSorted()).toEqual([
      "127.0.0.1",
      "[::1]",
      "host-1",
      "localhost",
      "rollcall.example.org",
    ]);
    expect(certificateNames(plain, "host-1")).not.toContain("rollcall.example.org");
    const open = readConfig(["--web-listen", "[2001:db8::7]:443"], {
      ROLLCALL_PUBLIC_URL: "https://rollcall.example.org",
    });
    expect(webHostnames(open, "host-1").has("[2001:db8::7]")).toBe(true);
    expect(certificateNames(open, "host-1")).toEqual(expect.arrayContaining(["2001:db8::7", "rollcall.example.org"]));
    expect(webHostnames(readConfig([], { ROLLCALL_WEB_LISTEN: "0.0.0.0:443" }), "h").has("0.0.0.0")).toBe(false);
  });

  test("knows its proxy however the address is written", () => {
    expect(readConfig([], { ROLLCALL_TRUST_PROXY: "2001:DB8:0:0::7" }).trustedProxy).toBe("2001:db8::7");
  });
});

describe("the first admin", () => {
  test("has a name, and a password from the environment or from a file", () => {
    const environment = { ROLLCALL_ADMIN_USERNAME: "root", ROLLCALL_ADMIN_PASSWORD: "p" };
    expect(readConfig([], environment).firstAdmin).toEqual({ username: "root", password: { text: "p" } });
    expect(readConfig(["--admin-username", "root", "--admin-password-file", "/run/p"], {}).firstAdmin).toEqual({
      username: "root",
      password: { path: "/run/p" },
    });
  });

  test("never has a password on the command line, which every user of the machine can read", () => {
    expect(() => readConfig(["--admin-username", "root", "--admin-password", "p"], {})).toThrow(ConfigError);
  });
});

test("deliveries have 64 places and no limit of bytes a second unless something else is asked for", () => {
  expect(readConfig([], {}).delivery).toEqual({ maxConcurrent: 64, bytesPerSecond: 0 });
  const asked = { ROLLCALL_DELIVERY_MAX_CONCURRENT: "1", ROLLCALL_DELIVERY_BYTES_PER_SECOND: "12500000" };
  expect(readConfig(["--delivery-max-concurrent", "7"], asked).delivery).toEqual({
    maxConcurrent: 7,
    bytesPerSecond: 12_500_000,
  });
});

test("an artifact is quarantined by two hosts unless something else is asked for", () => {
  expect(readConfig([], {}).hostsToQuarantine).toBe(2);
  expect(readConfig([], { ROLLCALL_QUARANTINE_HOSTS: "5" }).hostsToQuarantine).toBe(5);
  expect(readConfig(["--quarantine-hosts", "1"], {}).hostsToQuarantine).toBe(1);
});

test.each([
  [{ ROLLCALL_QUARANTINE_HOSTS: "0" }, /ROLLCALL_QUARANTINE_HOSTS must be a whole number from 1/],
  [{ ROLLCALL_DELIVERY_MAX_CONCURRENT: "0" }, /ROLLCALL_DELIVERY_MAX_CONCURRENT must be a whole number from 1/],
  [{ ROLLCALL_DELIVERY_MAX_CONCURRENT: "1e3" }, /ROLLCALL_DELIVERY_MAX_CONCURRENT/],
  [{ ROLLCALL_DELIVERY_BYTES_PER_SECOND: "-1" }, /ROLLCALL_DELIVERY_BYTES_PER_SECOND must be a whole number from 0/],
  [{ ROLLCALL_DELIVERY_BYTES_PER_SECOND: "10M" }, /ROLLCALL_DELIVERY_BYTES_PER_SECOND/],
  [{ ROLLCALL_TRUST_PROXY: "proxy.example.org" }, /ROLLCALL_TRUST_PROXY must be an IP address/],
  [{ ROLLCALL_PUBLIC_URL: "rollcall.example.org" }, /ROLLCALL_PUBLIC_URL must be a URL/],
  [{ ROLLCALL_PUBLIC_URL: "https://rollcall.example.org/app" }, /without a path/],
  [{ ROLLCALL_PUBLIC_URL: "ftp://rollcall.example.org" }, /ROLLCALL_PUBLIC_URL/],
  [{ ROLLCALL_ADMIN_USERNAME: "root" }, /given together/],
  [{ ROLLCALL_ADMIN_PASSWORD: "p" }, /given together/],
  [
    { ROLLCALL_ADMIN_USERNAME: "root", ROLLCALL_ADMIN_PASSWORD: "p", ROLLCALL_ADMIN_PASSWORD_FILE: "/p" },
    /only one of/,
  ],
])("%j is refused", (environment, sentence) => {
  expect(() => readConfig([], environment)).toThrow(sentence);
});
