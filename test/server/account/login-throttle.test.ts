import { describe, expect, test } from "vitest";
import { LoginThrottle } from "../../../server/account/login-throttle.ts";
import { RefusedError } from "../../../server/domain/errors.ts";

class Seconds {
  now = 0;
  monotonicMs(): number {
    return this.now * 1000;
  }
}

function setUp() {
  const clock = new Seconds();
  const throttle = new LoginThrottle(clock);
  /** *Shape*: undefined when it was let through. *Units*: seconds to wait. */
  const attempt = (username: string, address: string): number | undefined => {
    try {
      throttle.admit(username, address);
      return undefined;
    } catch (error) {
      if (error instanceof RefusedError && error.reason === "login_delayed") return error.retryAfterMs / 1000;
      throw error;
    }
  };
  return { clock, throttle, attempt };
}

describe("wrong passwords", () => {
  test("are slowed from the sixth on, ever more, up to a minute", () => {
    const { clock, attempt } = setUp();
    for (let count = 0; count < 5; count += 1) expect(attempt("admin", "192.0.2.1")).toBeUndefined();
    const waits: number[] = [];
    for (let count = 0; count < 9; count += 1) {
      const wait = attempt("admin", "192.0.2.1") ?? 0;
      waits.push(wait);
      clock.now += wait;
      expect(attempt("admin", "192.0.2.1")).toBeUndefined();
    }
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60]);
  });

  test("from elsewhere slow nobody else down: no account is locked", () => {
    const { attempt } = setUp();
    for (let count = 0; count < 50; count += 1) attempt("admin", "203.0.113.9");
    expect(attempt("admin", "203.0.113.9")).toBeGreaterThan(0);
    expect(attempt("admin", "192.0.2.1")).toBeUndefined();
  });

  test("for ever other names slow their address down", () => {
    const { attempt } = setUp();
    const admitted = Array.from({ length: 100 }, (_, index) => attempt(`name${index}`, "203.0.113.9")).filter(
      (wait) => wait === undefined,
    );
    expect(admitted).toHaveLength(30);
    expect(attempt("admin", "203.0.113.9")).toBeGreaterThan(0);
  });

  test("count when they begin, so that many at once gain nothing", () => {
    const { attempt } = setUp();
    const admitted = Array.from({ length: 40 }, () => attempt("admin", "192.0.2.1")).filter(
      (wait) => wait === undefined,
    );
    expect(admitted).toHaveLength(5);
  });

  test("count for a whole IPv6 network, however the name is written", () => {
    const { attempt } = setUp();
    for (let count = 0; count < 5; count += 1) expect(attempt("Admin", `2001:db8:0:7::${count}`)).toBeUndefined();
    expect(attempt("admin", "2001:db8:0:7:ffff::1")).toBe(1);
    expect(attempt("admin", "2001:db8:0:8::1")).toBeUndefined();
  });

  test("are forgotten after a quarter of an hour, and by the right one", () => {
    const { clock, throttle, attempt } = setUp();
    for (let count = 0; count < 5; count += 1) attempt("admin", "192.0.2.1");
    clock.now += 15 * 60 + 1;
    for (let count = 0; count < 4; count += 1) expect(attempt("admin", "192.0.2.1")).toBeUndefined();
    throttle.succeeded("admin", "192.0.2.1");
    for (let count = 0; count < 5; count += 1) expect(attempt("admin", "192.0.2.1")).toBeUndefined();
    expect(attempt("admin", "192.0.2.1")).toBe(1);
  });

  test("of a flood of addresses take bounded memory, and the newest still count", () => {
    const { attempt } = setUp();
    for (let index = 0; index < 60_000; index += 1)
      attempt("admin", `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`);
    for (let count = 0; count < 5; count += 1) attempt("admin", "192.0.2.1");
    expect(attempt("admin", "192.0.2.1")).toBe(1);
  });
});

test("tries at one server count at another, by keys that tell no name and no address", () => {
  const clock = new Seconds();
  const other = new LoginThrottle(clock);
  const keys = new Set<string>();
  const throttle = new LoginThrottle(clock, {
    tried: (key) => {
      keys.add(key);
      other.triedElsewhere(key);
    },
    succeeded: (key) => other.succeededElsewhere(key),
  });
  for (let count = 0; count < 5; count += 1) throttle.admit("admin", "192.0.2.1");
  other.admit("somebody", "192.0.2.1");
  expect(() => other.admit("admin", "192.0.2.1")).toThrow("Too many wrong passwords");
  throttle.succeeded("admin", "192.0.2.1");
  other.admit("admin", "192.0.2.1");
  expect([...keys].join(" ")).not.toMatch(/admin|192/);
});
