/**
 * The tables, as kysely sees them. The database is the only durable memory: what a
 * row does not hold, a restart forgets.
 *
 * Instants are `timestamptz`; deadlines and liveness are computed and compared with
 * the database's clock only.
 */
import type { ColumnType, Generated } from "kysely";
import type { AlertKind, Severity } from "../domain/alert.ts";
import type { FleetHostState, FleetUpdateState, OfflinePolicy } from "../domain/fleet-update.ts";
import type { ChannelId, FleetUpdateId, HostId, JobId, ReplicaId, SessionEpoch } from "../domain/ids.ts";
import type { JobDetails } from "../domain/job-reason.ts";
import type { JobStateName } from "../domain/job-state.ts";
import type { Labels } from "../domain/labels.ts";
import type { ChannelTarget, NotificationEvent } from "../domain/notification.ts";
import type { AccountTables } from "./account-schema.ts";

/** A jsonb column: read as a value, written as its text. */
type Json<T> = ColumnType<T, string, string>;

export interface HostsTable {
  id: HostId;
  hostname: string;
  os: string;
  arch: string;
  agent_version: string | null;
  packages: Json<readonly { readonly package: string; readonly version: string }[]>;
  install_revision: Generated<number>;
  /** Lowest generation of the credential that is still accepted. */
  credential_generation: Generated<number>;
  enrolled_at: Generated<Date>;
  last_seen_at: Date | null;
  /** From here on the host counts as offline; null while its session is open. */
  offline_at: Date | null;
  identity_duplicated_at: Date | null;
  removed_at: Date | null;
  credential_rotated_at: Generated<Date>;
  sequence_floor: Generated<bigint>;
  keys_sequence: Generated<bigint>;
  /** What people call it; empty for its hostname. */
  display_name: Generated<string>;
  /** It counts nowhere from then on. */
  archived_at: Generated<Date | null>;
  /** When a machine last took the place of the one before. */
  replaced_at: Generated<Date | null>;
  /** Credentials of a lower generation were given to a machine that was replaced. */
  replaced_generation: Generated<number>;
}

/** What somebody says of a host: one value a key. */
export interface HostLabelsTable {
  host_id: HostId;
  key: string;
  value: string;
}

/** One row a host: the newest session, open or closed. */
export interface AgentSessionsTable {
  host_id: HostId;
  replica_id: ReplicaId;
  epoch: SessionEpoch;
  instance_id: string;
  opened_at: Generated<Date>;
  closed_at: Date | null;
}

/** One row a server. `alive_at` is when it last renewed its lease on this row. */
export interface ReplicasTable {
  id: ReplicaId;
  started_at: Generated<Date>;
  alive_at: Generated<Date>;
  /** Rises with each process of this name. */
  epoch: Generated<bigint>;
  /** When others took it for dead and freed its hosts; null since it renewed its lease again. */
  freed_at: Date | null;
}

/** What all servers of this database have to share, by its sha256. */
export interface SharedKeysTable {
  name: "credential key" | "agents' authority" | "agents' next authority";
  sha256: Buffer;
  noted_at: Generated<Date>;
}

export interface EnrollmentTokensTable {
  id: string;
  token_sha256: Buffer;
  label: string;
  max_uses: number;
  uses: Generated<number>;
  created_by: string;
  created_at: Generated<Date>;
  expires_at: Date;
  revoked_at: Date | null;
  /** Of hosts that enrol with it. */
  labels: Json<Labels>;
  /** The host whose place a machine takes; null for a new host. */
  replaces_host_id: HostId | null;
}

export interface ReleasesTable {
  package: string;
  version: string;
  sequence: bigint;
  /** Raw bytes of manifest.json and of its signature. */
  manifest: Buffer;
  manifest_sha256: Buffer;
  signature: Buffer;
  imported_at: Generated<Date>;
  /** The signer, as minisign prints its id and as the key set calls it. */
  key_id: Generated<string>;
  key_label: Generated<string>;
  is_development: Generated<boolean>;
  permitted_floor: Generated<bigint>;
  /** The oldest of a host that can take it; 0 for any. */
  install_revision: Generated<number>;
}

/** What a version and a sequence once meant. */
export interface RemovedArtifactsTable {
  package: string;
  version: string;
  sequence: bigint;
  platform: string;
  sha256: string;
  removed_at: Generated<Date>;
}

/** The newest key set of a package that a root key signed. */
export interface KeySetsTable {
  package: string;
  sequence: bigint;
  /** Raw bytes of keys.json and of its signature. */
  keys: Buffer;
  signature: Buffer;
  is_development: boolean;
  /** Replaces that of every host that takes this key set. */
  sequence_floor: bigint | null;
  imported_at: Generated<Date>;
}

export interface ReleaseArtifactsTable {
  package: string;
  version: string;
  platform: string;
  file_name: string;
  size_bytes: bigint;
  sha256: string;
  block_size_bytes: number;
  block_list: Buffer;
}

export interface TargetVersionsTable {
  package: string;
  version: string;
  /** The admin who chose it; null while it follows the server's own version. */
  chosen_by: string | null;
  changed_at: Generated<Date>;
}

/** An artifact that rolled back on too many hosts. */
export interface QuarantinedArtifactsTable {
  sha256: string;
  quarantined_at: Generated<Date>;
}

/** A host on which an artifact was put in place and did not hold. */
export interface ArtifactRollbacksTable {
  sha256: string;
  host_id: HostId;
  job_id: JobId;
  rolled_back_at: Generated<Date>;
}

export interface JobsTable {
  id: JobId;
  host_id: HostId;
  kind: string;
  package: string;
  from_version: string;
  to_version: string;
  manifest_sha256: Buffer;
  state: JobStateName;
  reason: string | null;
  details: Json<JobDetails>;
  bytes_done: Generated<bigint>;
  bytes_total: Generated<bigint>;
  ignore_quarantine: boolean;
  fleet_update_id: FleetUpdateId | null;
  requested_by: string;
  created_at: Generated<Date>;
  changed_at: Generated<Date>;
  committed_at: Date | null;
  ended_at: Date | null;
  deadline_at: Date | null;
  /** Where no progress helps any more. */
  last_deadline_at: Date;
  /** Bytes of blocks that were sent for it, as they went on the wire. */
  bytes_delivered: Generated<bigint>;
  bytes_saved: Generated<bigint>;
  /** Null for a job from before artifacts were noted, whose release is gone. */
  artifact_sha256: string | null;
}

/** What the version that a job rolled back said last. */
export interface JobLogsTable {
  job_id: JobId;
  lines: string[];
}

export interface AuditEventsTable {
  id: Generated<bigint>;
  at: Generated<Date>;
  actor: string;
  action: string;
  host_id: HostId | null;
  job_id: JobId | null;
  fleet_update_id: FleetUpdateId | null;
  cause: string;
  details: Json<Readonly<Record<string, unknown>>>;
}

/** Read and written in SQL of its own, see `audit-seals.ts`. */
export interface AuditSealsTable {
  id: Generated<bigint>;
  from_id: bigint;
  to_id: bigint;
  digest: Buffer;
  sealed_at: Generated<Date>;
}

export interface FleetUpdatesTable {
  id: FleetUpdateId;
  package: string;
  to_version: string;
  state: FleetUpdateState;
  max_in_flight: number;
  max_failures: number;
  offline: OfflinePolicy;
  /** What its hosts were chosen by. */
  labels: Json<Labels>;
  halted_host_id: HostId | null;
  halt_reason: string | null;
  started_by: string;
  retry_of: FleetUpdateId | null;
  created_at: Generated<Date>;
  changed_at: Generated<Date>;
  ended_at: Date | null;
}

export interface FleetUpdateHostsTable {
  fleet_update_id: FleetUpdateId;
  position: number;
  host_id: HostId;
  hostname: string;
  state: FleetHostState;
  reason: string | null;
  from_version: string | null;
  job_id: JobId | null;
  changed_at: Generated<Date>;
}

export interface AlertsTable {
  id: Generated<string>;
  kind: AlertKind;
  host_id: HostId | null;
  fleet_update_id: FleetUpdateId | null;
  job_id: JobId | null;
  severity: Severity;
  reason: string;
  raised_at: Generated<Date>;
  touched_at: Generated<Date>;
  times_raised: Generated<number>;
  acknowledged_at: Date | null;
  acknowledged_by: string | null;
  resolved_at: Date | null;
}

/** What a channel leads to, and how its last attempts went. */
export interface NotificationChannelsTable {
  id: ChannelId;
  name: string;
  minimum_severity: Severity;
  target: Json<ChannelTarget>;
  secret: string;
  created_at: Generated<Date>;
  created_by: string;
  next_attempt_at: Generated<Date>;
  failures: Generated<number>;
  failing_since: Date | null;
  failure: Generated<string>;
  last_delivered_at: Date | null;
  dropped: Generated<number>;
}

/** What waits to be delivered; written by triggers on alerts. */
export interface NotificationsTable {
  id: Generated<bigint>;
  channel_id: ChannelId;
  alert_id: string;
  event: NotificationEvent;
  created_at: Generated<Date>;
}

/** Who may act where only one may. */
export interface LeasesTable {
  name: string;
  holder: ReplicaId;
  epoch: bigint;
  expires_at: Date;
}

export interface VersionAdoptionTable {
  day: string;
  package: string;
  version: string;
  hosts: number;
}

/** Every table. */
export interface Db extends AccountTables {
  hosts: HostsTable;
  host_labels: HostLabelsTable;
  agent_sessions: AgentSessionsTable;
  replicas: ReplicasTable;
  shared_keys: SharedKeysTable;
  enrollment_tokens: EnrollmentTokensTable;
  releases: ReleasesTable;
  release_artifacts: ReleaseArtifactsTable;
  removed_artifacts: RemovedArtifactsTable;
  key_sets: KeySetsTable;
  target_versions: TargetVersionsTable;
  quarantined_artifacts: QuarantinedArtifactsTable;
  artifact_rollbacks: ArtifactRollbacksTable;
  jobs: JobsTable;
  job_logs: JobLogsTable;
  audit_events: AuditEventsTable;
  audit_seals: AuditSealsTable;
  fleet_updates: FleetUpdatesTable;
  fleet_update_hosts: FleetUpdateHostsTable;
  alerts: AlertsTable;
  notification_channels: NotificationChannelsTable;
  notifications: NotificationsTable;
  leases: LeasesTable;
  version_adoption: VersionAdoptionTable;
}
