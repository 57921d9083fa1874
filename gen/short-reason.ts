/** Why an update failed, in a few words: for table cells, titles of alerts and notifications. */
import { JobReason } from "./rollcall/v1/model_pb.js";

/** One entry a reason. *Shape*: the compiler refuses a reason without words. */
export const SHORT_REASONS: Readonly<Record<JobReason, string>> = {
  [JobReason.UNSPECIFIED]: "No reason given",
  [JobReason.NO_PROGRESS]: "No progress for 90 s",
  [JobReason.AGENT_LOST]: "Did not come back",
  [JobReason.AGENT_RESTARTED]: "Agent restarted in mid-update",
  [JobReason.COMMIT_EXPIRED]: "Staged too long",
  [JobReason.PREFLIGHT_READ_ONLY]: "Program folder is read-only",
  [JobReason.PREFLIGHT_NO_SPACE]: "Not enough disk space",
  [JobReason.PREFLIGHT_NOT_EXECUTABLE]: "Programs cannot run from its folder",
  [JobReason.PREFLIGHT_WRONG_PLATFORM]: "Built for another platform",
  [JobReason.DOWNLOAD_FAILED]: "Download broke off",
  [JobReason.DIGEST_MISMATCH]: "Downloaded file is damaged",
  [JobReason.SIGNATURE_INVALID]: "Not signed by a trusted key",
  [JobReason.KEY_UNKNOWN]: "Signed by an unknown key",
  [JobReason.KEY_REVOKED]: "Signed by a revoked key",
  [JobReason.KEYS_INVALID]: "Key set is not the publisher's",
  [JobReason.KEYS_OUTDATED]: "Key set is older than known",
  [JobReason.DOWNGRADE_REFUSED]: "Older than it has run before",
  [JobReason.PROBE_FAILED]: "New agent failed its test run",
  [JobReason.SWAP_FAILED]: "Could not replace the program",
  [JobReason.WRONG_VERSION]: "Came back on another version",
  [JobReason.HOST_REPLACED]: "Another machine took its place",
  [JobReason.CRASHED]: "New agent crashed",
  [JobReason.NOT_CONFIRMED]: "New agent did not reach the server",
};

/** Every reason by the name that the server's records give it, such as `preflight_no_space`. */
const REASONS_BY_NAME: ReadonlyMap<string, JobReason> = new Map(
  Object.entries(JobReason).flatMap(([name, value]) =>
    typeof value === "number" ? [[name.toLowerCase(), value] as const] : [],
  ),
);

/** The short form of a reason by its name, such as `preflight_no_space`; the name in words when it is none. */
export function shortReason(name: string): string {
  const reason = REASONS_BY_NAME.get(name);
  if (reason !== undefined) return SHORT_REASONS[reason];
  return OTHER_REASONS[name] ?? name.replaceAll("_", " ");
}

/** Why a host was skipped, or at which one a fleet update halted, where that is no job's reason. */
const OTHER_REASONS: Readonly<Record<string, string>> = {
  host_offline: "Offline when its turn came",
  already_at_target: "Already at target",
  host_removed: "Removed",
  host_unknown: "Removed",
  host_archived: "Archived",
  update_running: "An update was running",
  no_artifact: "No build for its platform",
  identity_duplicated: "Two machines use its identity",
  quarantined: "Its build is quarantined",
  needs_reinstall: "Its unit and guard are too old",
  below_sequence_floor: "The release is older than it accepts",
  fleet_update_ended: "The fleet update had ended",
};
