import { describe, expect, test } from "vitest";
import { findDestination, parseAllowedDestinations } from "../../../server/notify/outgoing-policy.ts";

const NOTHING = parseAllowedDestinations([]);
const resolvingTo = (address: string) => async () => ({ address, family: address.includes(":") ? 6 : 4 });

describe("a destination", () => {
  test.each([
    "127.0.0.1",
    "10.0.0.1",
    "172.16.5.4",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fd00:ec2::254",
    "::ffff:127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "ff02::1",
  ])("at %s is refused, named by its address or by a name that leads there", async (address) => {
    const literal = address.includes(":") ? `[${address}]` : address;
    await expect(findDestination(literal, NOTHING, resolvingTo("192.0.2.1"))).rejects.toThrow("not a public address");
    await expect(findDestination("hooks.example.org", NOTHING, resolvingTo(address))).rejects.toThrow(
      "not a public address",
    );
  });

  test("that is public is what its name led to when it was asked, once", async () => {
    let asked = 0;
    const lookup = async () => {
      asked += 1;
      return { address: "93.184.215.14", family: 4 };
    };
    expect(await findDestination("hooks.example.org", NOTHING, lookup)).toEqual({
      address: "93.184.215.14",
      family: 4,
      isListed: false,
    });
    expect(asked).toBe(1);
  });

  test("that the operator listed is reached by name, address or network", async () => {
    const allowed = parseAllowedDestinations(["Hooks.internal", "10.1.2.0/24", "fd00::7"]);
    const find = (name: string, address: string) => findDestination(name, allowed, resolvingTo(address));
    expect(await find("hooks.INTERNAL", "10.9.9.9")).toMatchObject({ isListed: true });
    expect(await find("other.internal", "10.1.2.9")).toMatchObject({ isListed: true });
    expect(await find("other.internal", "fd00::7")).toMatchObject({ isListed: true });
    await expect(find("other.internal", "10.1.3.9")).rejects.toThrow("ROLLCALL_NOTIFY_ALLOW");
  });

  test("without an address is told by its name", async () => {
    const lookup = async () => Promise.reject(new Error("ENOTFOUND"));
    await expect(findDestination("nowhere.example.org", NOTHING, lookup)).rejects.toThrow(
      "The name nowhere.example.org can't be resolved.",
    );
  });
});

test.each(["10.1.2.0/33", "10.1.2.0/x", "a b", "hooks.internal/24", "::1/200"])(
  "%s is no entry of the list",
  (entry) => {
    expect(() => parseAllowedDestinations([entry])).toThrow(entry);
  },
);
