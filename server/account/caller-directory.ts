/** Tells callers by what they bring along: the token of the server's own file, an API token, a session's cookie. */
import { timingSafeEqual } from "node:crypto";
import { Role } from "../../gen/rollcall/v1/options_pb.js";
import type { ApiTokenCaller, Caller, FileTokenCaller, SessionCaller } from "../domain/caller.ts";
import { toWireRole } from "../wire/role-words.ts";
import type { CallerStore } from "./ports.ts";
import { digestSecret } from "./secrets.ts";

/** Knows everybody who may call. */
export class AccountDirectory {
  readonly #store: CallerStore;
  readonly #fileTokenSha256: Uint8Array;

  constructor(store: CallerStore, fileToken: string) {
    this.#store = store;
    this.#fileTokenSha256 = digestSecret(fileToken);
  }

  /** *Shape*: `undefined` for a token that names nobody, or nobody any more. */
  async identify(bearer: string): Promise<FileTokenCaller | ApiTokenCaller | undefined> {
    const digest = digestSecret(bearer);
    if (timingSafeEqual(digest, this.#fileTokenSha256))
      return { kind: "file_token", name: "admin-token", role: Role.ADMIN };
    if (!bearer.startsWith("rc_api_")) return undefined;
    const found = await this.#store.useApiToken(digest);
    if (found === undefined) return undefined;
    const { token, creatorId } = found;
    const name = `token:${token.label}`;
    return { kind: "api_token", name, role: toWireRole(token.role), tokenId: token.id, userId: creatorId };
  }

  /** *Shape*: `undefined` for a session that has ended. */
  async identifySession(secret: string, address: string): Promise<SessionCaller | undefined> {
    const found = await this.#store.useSession(digestSecret(secret), address);
    if (found === undefined) return undefined;
    const { session, user } = found;
    return {
      kind: "session",
      name: user.username,
      role: toWireRole(user.role),
      userId: user.id,
      sessionId: session.id,
      session,
    };
  }

  /** The role that each of them has by now. *Shape*: no entry for one whose session or token ended. */
  async findRoles(callers: readonly Caller[]): Promise<ReadonlyMap<Caller, Role>> {
    const roles = await this.#store.findLiveRoles({
      sessionIds: callers.flatMap((caller) => (caller.kind === "session" ? [caller.sessionId] : [])),
      tokenIds: callers.flatMap((caller) => (caller.kind === "api_token" ? [caller.tokenId] : [])),
    });
    const found = new Map<Caller, Role>();
    for (const caller of callers) {
      if (caller.kind === "anonymous" || caller.kind === "file_token") found.set(caller, caller.role);
      else {
        const role = roles.get(caller.kind === "session" ? caller.sessionId : caller.tokenId);
        if (role !== undefined) found.set(caller, toWireRole(role));
      }
    }
    return found;
  }
}
