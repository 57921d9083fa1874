/** What stands against updating one host, beside its disabled button and in a dialog that was refused. */
import { HostStatus, Refusal_Reason, type Host } from "../rollcall/v1/model_pb.js";
import { isOpen } from "./job-words.ts";
import { formatDuration } from "./quantities.ts";
import { formatMoment, toMs } from "./times.ts";

/** Why this host can't be updated now, in a sentence; `undefined` when it can. */
export function whyNotUpdatable(host: Host, nowMs: number): string | undefined {
  const job = host.latestJob;
  if (host.archivedAt !== undefined) return "It is archived. Bring it back to update it.";
  if (host.targetVersion === "") return "No target version is set. Import a release, or choose one under Releases.";
  if (job !== undefined && isOpen(job.state)) {
    const since = toMs(job.createdAt);
    const running = since === undefined ? "" : ` for ${formatDuration(nowMs - since)}`;
    return `An update to ${job.toVersion} has been running${running}.`;
  }
  if (host.identityDuplicated) return "Two machines use its identity, so it is sent nothing. Enrol one of them anew.";
  if (host.status === HostStatus.OFFLINE) {
    const seen = toMs(host.lastSeenAt);
    return seen === undefined
      ? "It has not reported yet. It can be updated when it does."
      : `Offline since ${formatMoment(seen, nowMs)}. It can be updated when it reports again.`;
  }
  if (!host.updateAvailable) return `Already runs ${host.targetVersion}.`;
  if (host.needsReinstall) {
    return `Its unit and guard are too old for ${host.targetVersion}. Run the install command on it again.`;
  }
  if (host.targetQuarantined) return quarantineSentence(host);
  return undefined;
}

/** True when nothing but the quarantine of its build stands against updating this host. */
export function isHeldByQuarantine(host: Host, nowMs: number): boolean {
  return host.targetQuarantined && whyNotUpdatable(host, nowMs) === quarantineSentence(host);
}

function quarantineSentence({ targetVersion, platform }: Host): string {
  return `${targetVersion} is quarantined for ${platform}: it rolled back on other hosts.`;
}

/** A refusal of the server's own, where it says more than its words do. */
export function refusalSentence(reason: Refusal_Reason, host: Host | undefined, nowMs: number): string | undefined {
  if (reason === Refusal_Reason.HOST_UNKNOWN) return "This host was removed. Enrol it again to update it.";
  if (host === undefined) return undefined;
  if (reason === Refusal_Reason.NO_ARTIFACT)
    return `${host.targetVersion} has no build for ${host.platform}. Add one under Releases.`;
  if (reason === Refusal_Reason.QUARANTINED) return quarantineSentence(host);
  if (reason === Refusal_Reason.ALREADY_AT_TARGET) return `Already runs ${host.targetVersion}.`;
  const known: readonly Refusal_Reason[] = [
    Refusal_Reason.HOST_ARCHIVED,
    Refusal_Reason.HOST_OFFLINE,
    Refusal_Reason.UPDATE_RUNNING,
    Refusal_Reason.IDENTITY_DUPLICATED,
    Refusal_Reason.NO_TARGET,
    Refusal_Reason.NEEDS_REINSTALL,
  ];
  return known.includes(reason) ? whyNotUpdatable(host, nowMs) : undefined;
}
