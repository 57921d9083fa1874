import type { User } from "../domain/user.ts";

/**
 * True when nobody could administer the server any more if `user` stopped being an admin. One who never set a
 * password does not count: their link may be lost.
 *
 * *Shape*: `admins` are all users of the role admin.
 */
export function isLastAdmin(user: User, admins: readonly User[]): boolean {
  if (user.role !== "admin" || user.isDisabled) return false;
  return !admins.some((other) => other.id !== user.id && other.isSetUp && !other.isDisabled);
}
