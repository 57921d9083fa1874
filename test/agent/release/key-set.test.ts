import { expect, test } from "vitest";
import { createFirstKeySet, createNextKeySet, type KeySetChange } from "../../../agent/release/key-set.ts";
import { createTestKey } from "../../support/test-keys.ts";

const at = new Date("2026-11-24T12:00:00Z");
const first = createTestKey("key set: first").publicKey;
const second = createTestKey("key set: second").publicKey;
const third = createTestKey("key set: third").publicKey;
const root = createTestKey("key set: root").publicKey;
const known = createFirstKeySet({ key: first, label: "first" }, at, false);

function next(change: Partial<KeySetChange>, before = known) {
  return createNextKeySet(before, { add: [], revoke: [], sequenceFloor: undefined, ...change }, [root], at);
}
const named = (key: typeof first, label = "a key") => ({ key, label });

test("the first key set names one key and revokes none", () => {
  expect(known).toMatchObject({ format: 1, sequence: 1n, revokedKeys: [], development: false });
  expect(known.signingKeys).toMatchObject([{ publicKey: first.text, label: "first" }]);
  expect(known.sequenceFloor).toBeUndefined();
});

test("an added key joins those that were there, under the next sequence", () => {
  const after = next({ add: [named(second)] });
  expect(after.sequence).toBe(2n);
  expect(after.signingKeys.map(({ publicKey }) => publicKey)).toEqual([first.text, second.text]);
});

test("a revoked key leaves the signing keys and stays revoked from then on", () => {
  const replaced = next({ add: [named(second)], revoke: [first.text] });
  expect(replaced.signingKeys.map(({ publicKey }) => publicKey)).toEqual([second.text]);
  const later = next({ add: [named(third)] }, replaced);
  expect([later.sequence, later.revokedKeys]).toEqual([3n, [first.text]]);
});

test("a key that no key set named can be revoked: a thief may have signed with it", () => {
  expect(next({ revoke: [third.text] }).revokedKeys).toEqual([third.text]);
});

test("a floor counts in one key set and is not carried over", () => {
  const lowered = next({ sequenceFloor: 0n });
  expect(lowered.sequenceFloor).toBe(0n);
  expect(next({ add: [named(second)] }, lowered).sequenceFloor).toBeUndefined();
});

test("development keys stay development keys", () => {
  const development = createFirstKeySet(named(first), at, true);
  expect(next({ add: [named(second)] }, development).development).toBe(true);
});

const revoked = next({ add: [named(second)], revoke: [first.text] });

test.each([
  ["nothing changes", () => next({}), "nothing is to change"],
  ["no signing key is left", () => next({ revoke: [first.text] }), "no signing key would be left"],
  ["a root key is to sign releases", () => next({ add: [named(root)] }), "is a root key"],
  ["a revoked key is to sign again", () => next({ add: [named(first)] }, revoked), "was revoked"],
  ["a key is added and revoked", () => next({ add: [named(second)], revoke: [second.text] }), "at once"],
  ["a key is there already", () => next({ add: [named(first)] }), "in the key set already"],
  ["a key is added twice", () => next({ add: [named(second), named(second)] }), "in the key set already"],
  ["a key is revoked already", () => next({ revoke: [first.text] }, revoked), "revoked already"],
  ["a key is revoked twice", () => next({ revoke: [third.text, third.text] }), "revoked twice"],
  ["a label holds a line break", () => next({ add: [named(second, "a\nb")] }), "one line"],
  ["a floor is past what numbers hold", () => next({ sequenceFloor: 2n ** 53n }), "must be at most"],
  [
    "there are too many keys",
    () => next({ add: Array.from({ length: 16 }, (_, n) => named(createTestKey(`many ${n}`).publicKey)) }),
    "at most 16 items",
  ],
])("it is refused that %s", (_, act, sentence) => {
  expect(act).toThrow(sentence);
});
