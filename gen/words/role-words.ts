import { Role } from "../rollcall/v1/options_pb.js";

/** The roles that people and tokens have, and what each may do. */
export const ROLES: readonly { readonly role: Role; readonly word: string; readonly may: string }[] = [
  { role: Role.VIEWER, word: "viewer", may: "sees hosts, updates and alerts" },
  { role: Role.OPERATOR, word: "operator", may: "also acknowledges alerts and reads the audit log" },
  { role: Role.ADMIN, word: "admin", may: "does everything" },
];

/** A role's name. */
export function roleWord(role: Role): string {
  return ROLES.find((one) => one.role === role)?.word ?? "nobody";
}
