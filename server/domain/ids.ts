/** Ids are strings that the compiler keeps apart. */
declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

export type HostId = Branded<"HostId">;
export type JobId = Branded<"JobId">;
export type FleetUpdateId = Branded<"FleetUpdateId">;
/** A person who may sign in. */
export type UserId = Branded<"UserId">;
/** A person's session in one browser. */
export type UserSessionId = Branded<"UserSessionId">;
export type ApiTokenId = Branded<"ApiTokenId">;
/** Where notifications go. */
export type ChannelId = Branded<"ChannelId">;
/** One running server process among those that share a database. */
export type ReplicaId = Branded<"ReplicaId">;

/** Number of a session, rising over the whole fleet. What an older session says is void. */
export type SessionEpoch = bigint & { readonly [brand]: "SessionEpoch" };

const UUID_PATTERN = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** True for a UUID in its lower-case form, the only one in use. */
export function isId(text: string): boolean {
  return UUID_PATTERN.test(text);
}
