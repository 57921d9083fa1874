/** Removes hosts, and notes who has seen an alert: what an operator does to a host besides updating it. */
import type { Alert } from "../domain/alert.ts";
import { RefusedError } from "../domain/errors.ts";
import type { HostId } from "../domain/ids.ts";
import { isLegal } from "../domain/reduce-job.ts";
import { applyJobEvent, settleJobEvent, type InterpreterParts } from "./job-interpreter.ts";

/**
 * Removes a host: its credential is refused from now on, its open job ends, its alerts close, its stream ends.
 *
 * *Throws* RefusedError (host_unknown).
 */
export async function removeHost(
  parts: InterpreterParts,
  disconnect: (hostId: HostId, reason: Error) => void,
  hostId: HostId,
  actor: string,
): Promise<void> {
  const cause = { actor, cause: "the host was removed" };
  const ended = await parts.store.transaction(async (tx) => {
    if (!(await tx.removeHost(hostId))) {
      throw new RefusedError("host_unknown", `There is no host ${hostId}, or it was removed already.`, {
        host_id: hostId,
      });
    }
    const job = await tx.lockOpenJob(hostId);
    const event = job && isLegal(job.state.name, "cancelled") ? "cancelled" : "deadline_passed";
    const applied =
      job &&
      (await applyJobEvent(
        tx,
        job,
        event === "cancelled" ? { name: event } : { name: event, maximumAgeReached: false },
        cause,
      ));
    await tx.resolveAlerts(hostId, ["update_failed", "host_offline", "duplicate_identity"]);
    await tx.writeAuditEvent({ ...cause, action: "host.removed", hostId });
    return applied;
  });
  if (ended !== undefined) await settleJobEvent(parts, ended);
  parts.changes.hostChanged(hostId);
  disconnect(hostId, hostRemoved());
}

/** What a removed host's agent is told. */
export function hostRemoved(): RefusedError {
  return new RefusedError("credential_invalid", "This host was removed. Enrol it again to bring it back.");
}

/** Notes who has seen an alert. *Throws* RefusedError (alert_unknown). */
export async function acknowledgeAlert(parts: InterpreterParts, id: string, actor: string): Promise<Alert> {
  return parts.store.transaction(async (tx) => {
    const alert = await tx.acknowledgeAlert(id, actor);
    if (alert === undefined) throw new RefusedError("alert_unknown", `There is no alert ${id}.`, { alert_id: id });
    await tx.writeAuditEvent({
      actor,
      action: "alert.acknowledged",
      ...(alert.hostId && { hostId: alert.hostId }),
      fleetUpdateId: alert.fleetUpdateId,
      cause: "an alert was acknowledged",
      details: { alert_id: id, kind: alert.kind },
    });
    return alert;
  });
}
