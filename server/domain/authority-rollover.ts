/** How far the change from one agents' authority to the next has come, as the operator says. */

/** The next authority is only told to agents, or signs already. */
export type AuthorityRollover = "announce" | "switch";

/** Reads the setting. `fail` throws what is wrong with it. */
export function parseAuthorityRollover(
  value: string | undefined,
  hasGivenCertificate: boolean,
  fail: (problem: string) => never,
): AuthorityRollover | undefined {
  if (value === undefined) return undefined;
  if (value !== "announce" && value !== "switch") return fail(`must be announce or switch, not ${value}`);
  return hasGivenCertificate ? fail("is about the server's own authority, which a given certificate replaces") : value;
}
