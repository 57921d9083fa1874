import { sql, type Kysely } from "kysely";

/** Which hosts an artifact rolled back on. */
export async function up(db: Kysely<never>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  // Kept beside the job: its release may be removed before its last outcome is known.
  "alter table jobs add column artifact_sha256 text",
  `update jobs set artifact_sha256 = artifact.sha256
    from releases as release, release_artifacts as artifact, hosts as host
    where release.package = jobs.package and release.manifest_sha256 = jobs.manifest_sha256
      and artifact.package = release.package and artifact.version = release.version
      and host.id = jobs.host_id and artifact.platform = host.os || '-' || host.arch`,
  // Emptied for an artifact when its quarantine is lifted.
  `create table artifact_rollbacks (
    sha256 text not null,
    host_id uuid not null references hosts (id),
    job_id uuid not null references jobs (id),
    rolled_back_at timestamptz not null default clock_timestamp(),
    primary key (sha256, host_id)
  )`,
  `do $$ begin
    if exists (select from pg_roles where rolname = 'rollcall_app') then
      grant select, insert, delete on artifact_rollbacks to rollcall_app;
    end if;
  end $$`,
];
