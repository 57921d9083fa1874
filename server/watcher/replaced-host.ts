/** What becomes of a host's open job when another machine takes its place. */
import { RefusedError } from "../domain/errors.ts";
import type { HostId } from "../domain/ids.ts";
import { applyJobEvent, settleJobEvent, type InterpreterParts } from "./job-interpreter.ts";
import type { UpdateTransaction } from "./ports.ts";

/**
 * Ends the job in the transaction that replaces the machine.
 *
 * *Shape*: what is left to do once that is committed.
 */
export async function endJobOfReplaced(
  parts: InterpreterParts,
  tx: UpdateTransaction,
  hostId: HostId,
): Promise<() => Promise<void>> {
  const job = await tx.lockOpenJob(hostId);
  if (job === undefined) return async () => undefined;
  const applied = await applyJobEvent(
    tx,
    job,
    { name: "agent_failed", reason: "host_replaced", details: {} },
    { actor: "rollcall", cause: "another machine took the host's place" },
  );
  return () => settleJobEvent(parts, applied);
}

/** What the agent of the machine before is told. */
export function machineReplaced(): RefusedError {
  return new RefusedError(
    "credential_invalid",
    "Another machine took this host's place. Enrol this machine again to give it one of its own.",
  );
}
