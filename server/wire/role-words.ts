import { Role } from "../../gen/rollcall/v1/options_pb.js";
import { USER_ROLES, type UserRole } from "../domain/user.ts";

const ROLES: Readonly<Record<UserRole, Role>> = { viewer: Role.VIEWER, operator: Role.OPERATOR, admin: Role.ADMIN };

/** A role as it goes on the wire. */
export function toWireRole(role: UserRole): Role {
  return ROLES[role];
}

/** A role that people and tokens may have; `undefined` for any other. */
export function toUserRole(role: Role): UserRole | undefined {
  return USER_ROLES.find((name) => ROLES[name] === role);
}
