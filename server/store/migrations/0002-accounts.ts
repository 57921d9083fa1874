import { sql, type Kysely } from "kysely";

/** People, their sessions, setup links and the tokens of programs. */
export async function up(db: Kysely<never>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `create table users (
    id uuid primary key,
    username text not null,
    role text not null check (role in ('viewer', 'operator', 'admin')),
    password_hash text,
    created_by text not null,
    created_at timestamptz not null default clock_timestamp(),
    last_login_at timestamptz,
    disabled_at timestamptz
  )`,
  // Two spellings of one name would be two people who look alike.
  "create unique index users_by_name on users (lower(username))",
  `create table user_sessions (
    id uuid primary key,
    user_id uuid not null references users (id),
    secret_sha256 bytea not null unique,
    address text not null,
    user_agent text not null,
    created_at timestamptz not null default clock_timestamp(),
    last_used_at timestamptz not null default clock_timestamp(),
    expires_at timestamptz not null
  )`,
  "create index user_sessions_by_user on user_sessions (user_id, created_at desc)",
  `create table setup_links (
    token_sha256 bytea primary key,
    user_id uuid references users (id),
    created_by text not null,
    created_at timestamptz not null default clock_timestamp(),
    expires_at timestamptz not null
  )`,
  // One link a user, and one for the first admin.
  "create unique index setup_links_by_user on setup_links (user_id) nulls not distinct",
  `create table api_tokens (
    id uuid primary key,
    secret_sha256 bytea not null unique,
    label text not null,
    role text not null check (role in ('viewer', 'operator', 'admin')),
    created_by text not null,
    creator_id uuid references users (id),
    created_at timestamptz not null default clock_timestamp(),
    expires_at timestamptz not null,
    last_used_at timestamptz,
    revoked_at timestamptz
  )`,
  "create index api_tokens_by_age on api_tokens (created_at desc)",
  `do $$ begin
    if exists (select from pg_roles where rolname = 'rollcall_app') then
      grant select, insert, update, delete on users, user_sessions, setup_links, api_tokens to rollcall_app;
    end if;
  end $$`,
];
