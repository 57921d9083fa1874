import fc from "fast-check";
import { expect, test } from "vitest";
import { isLastAdmin } from "../../../server/account/last-admin.ts";
import type { UserId } from "../../../server/domain/ids.ts";
import { USER_ROLES, type User } from "../../../server/domain/user.ts";

const anyUsers = fc.array(
  fc.record({ role: fc.constantFrom(...USER_ROLES), isSetUp: fc.boolean(), isDisabled: fc.boolean() }),
  { minLength: 1, maxLength: 6 },
);

test("whoever may stop being an admin leaves one behind who can sign in, if there was one", () => {
  fc.assert(
    fc.property(anyUsers, fc.nat(), (rows, pick) => {
      const users = rows.map(
        (row, index): User => ({
          ...row,
          id: String(index) as UserId,
          username: `user${index}`,
          createdAt: new Date(0),
          createdBy: "test",
          lastLoginAt: null,
        }),
      );
      const chosen = users[pick % users.length] as User;
      const canSignIn = (user: User): boolean => user.role === "admin" && user.isSetUp && !user.isDisabled;
      const admins = users.filter((user) => user.role === "admin");
      if (isLastAdmin(chosen, admins)) {
        expect(users.some((user) => user.id !== chosen.id && canSignIn(user))).toBe(false);
      } else if (users.some(canSignIn)) {
        expect(users.some((user) => user.id !== chosen.id && canSignIn(user))).toBe(true);
      }
    }),
    { numRuns: 10_000 },
  );
});
