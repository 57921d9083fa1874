import { argon2Sync, randomBytes, randomUUID } from "node:crypto";
import { afterAll, describe, expect, test } from "vitest";
import { hashPassword, matchesPassword } from "../../../server/account/password-hash.ts";
import { checkPassword, checkUsername } from "../../../server/account/password-policy.ts";
import { Passwords } from "../../../server/account/passwords.ts";
import { InvalidFieldError, type RefusedError } from "../../../server/domain/errors.ts";
import { openResources } from "../stream/open-resources.ts";

const random = { uuid: () => randomUUID(), bytes: (length: number): Uint8Array => randomBytes(length) };

describe("a stored password", () => {
  test("is argon2id with its parameters, of a salt of its own", async () => {
    const [first, second] = await Promise.all([
      hashPassword("one password", random),
      hashPassword("one password", random),
    ]);
    expect(first).toMatch(/^\$argon2id\$v=19\$m=47104,t=1,p=1\$/);
    expect(first).not.toBe(second);
  });

  test("matches the password that was hashed, and no other", async () => {
    const stored = await hashPassword("päss word of ours", random);
    expect(await matchesPassword("päss word of ours", stored)).toBe(true);
    expect(await matchesPassword("pass word of ours", stored)).toBe(false);
    expect(await matchesPassword("", stored)).toBe(false);
  });

  test("matches however its letters were composed", async () => {
    const stored = await hashPassword("caf\u00e9 in the rain", random);
    expect(await matchesPassword("cafe\u0301 in the rain", stored)).toBe(true);
  });

  test("that is torn is a failure, never a match", async () => {
    await expect(matchesPassword("x", "$argon2id$v=19$m=47104")).rejects.toThrow(/cannot be read/);
  });

  test("is made by an argon2id that agrees with RFC 9106, section 5.3", () => {
    const tag = argon2Sync("argon2id", {
      message: Buffer.alloc(32, 1),
      nonce: Buffer.alloc(16, 2),
      secret: Buffer.alloc(8, 3),
      associatedData: Buffer.alloc(12, 4),
      parallelism: 4,
      tagLength: 32,
      memory: 32,
      passes: 3,
    });
    expect(tag.toString("hex")).toBe("0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659");
  });
});

/** A hash of lower cost, as an older server may have stored it. */
function cheapHash(password: string): string {
  const nonce = randomBytes(16);
  const cost = { parallelism: 1, memory: 64, passes: 2 };
  const tag = argon2Sync("argon2id", { message: Buffer.from(password), nonce, tagLength: 32, ...cost });
  const [salt, hash] = [nonce, tag].map((bytes) => bytes.toString("base64").replaceAll("=", ""));
  return `$argon2id$v=19$m=64,t=2,p=1$${salt}$${hash}`;
}

describe("checking passwords", () => {
  test("takes two at a time and 32 that wait; one more is refused, and the rest go on", async () => {
    const passwords = new Passwords(random);
    const stored = cheapHash("correct horse battery");
    const outcomes = await Promise.allSettled(
      Array.from({ length: 36 }, () => passwords.matches("correct horse battery", stored)),
    );
    const refused = outcomes.filter((outcome) => outcome.status === "rejected");
    expect(refused).toHaveLength(2);
    for (const { reason } of refused)
      expect(reason).toMatchObject({ reason: "login_busy" } satisfies Partial<RefusedError>);
    expect(outcomes.filter((outcome) => outcome.status === "fulfilled" && outcome.value)).toHaveLength(34);
    expect(await passwords.matches("correct horse battery", stored)).toBe(true);
  });

  test("of somebody who does not exist says no, at the cost of a real check", async () => {
    const passwords = new Passwords(random);
    await passwords.matches("warm up", null);
    const time = async (stored: string | null): Promise<number> => {
      const startedAtMs = performance.now();
      expect(await passwords.matches("wrong password", stored)).toBe(false);
      return performance.now() - startedAtMs;
    };
    // A check of a thousandth of the memory is what no check at all looks like.
    expect(await time(null)).toBeGreaterThan(5 * (await time(cheapHash("another password"))));
  });
});

describe("a password may not", () => {
  test.each([
    ["be short", "short enough", "alice", undefined],
    ["be short", "only eleven", "alice", /at least 12 characters/],
    ["be one character over and over", "aaaaaaaaaaaaaaaa", "alice", /5 different/],
    ["hold the user's name", "I am Alice the admin", "alice", /user's name/],
    ["be counted by anything but characters", "🐎🐎🐎🐎🐎🐎🐎🐎🐎🐎🐎", "alice", /at least 12 characters/],
  ])("%s: %s", (_rule, password, username, problem) => {
    const check = () => checkPassword("password", password, username);
    if (problem === undefined) expect(check).not.toThrow();
    else expect(check).toThrow(problem);
  });
});

test.each(["", ".hidden", "-x", "a b", "rollcall", "Admin-Token", "x".repeat(65)])(
  "nobody is called %j",
  (username) => {
    expect(() => checkUsername(username)).toThrow(InvalidFieldError);
  },
);

afterAll(() => expect(openResources()).toEqual([]));
