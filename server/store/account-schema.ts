/** The tables of people, their sessions and the tokens of programs. */
import type { Generated } from "kysely";
import type { ApiTokenId, UserId, UserSessionId } from "../domain/ids.ts";
import type { UserRole } from "../domain/user.ts";

export interface UsersTable {
  id: UserId;
  username: string;
  role: UserRole;
  /** Null until it is set, and again after a reset. */
  password_hash: string | null;
  created_by: string;
  created_at: Generated<Date>;
  last_login_at: Date | null;
  disabled_at: Date | null;
}

/** A row lives as long as its session: one that was revoked is gone. */
export interface UserSessionsTable {
  id: UserSessionId;
  user_id: UserId;
  secret_sha256: Buffer;
  address: string;
  user_agent: string;
  created_at: Generated<Date>;
  last_used_at: Generated<Date>;
  expires_at: Date;
}

/** A row lives until its link is used or replaced. */
export interface SetupLinksTable {
  token_sha256: Buffer;
  /** Null for the first admin. */
  user_id: UserId | null;
  created_by: string;
  created_at: Generated<Date>;
  expires_at: Date;
}

export interface ApiTokensTable {
  id: ApiTokenId;
  secret_sha256: Buffer;
  label: string;
  role: UserRole;
  created_by: string;
  /** Who answers for it; null for one made with the server's own token. */
  creator_id: UserId | null;
  created_at: Generated<Date>;
  expires_at: Date;
  last_used_at: Date | null;
  revoked_at: Date | null;
}

/** The tables of this file. */
export interface AccountTables {
  users: UsersTable;
  user_sessions: UserSessionsTable;
  setup_links: SetupLinksTable;
  api_tokens: ApiTokensTable;
}
