/** What a host's menu offers, to whom. */
import type { Host } from "../../../../gen/rollcall/v1/model_pb.js";
import { isOpen } from "../../../../gen/words/job-words.ts";
import { isHeldByQuarantine, whyNotUpdatable } from "../../../../gen/words/refusal-words.ts";

/** One entry of the menu. */
export interface RowAction {
  readonly deed: "open" | "update" | "cancel" | "copy-name" | "copy-id";
  readonly label: string;
  /** Why it can't be done now; empty when it can. */
  readonly problem: string;
}

/** Who asks, and when. */
export interface RowActionFacts {
  readonly isAdmin: boolean;
  readonly isLive: boolean;
  /** *Units*: milliseconds since 1970, by the server's clock. */
  readonly nowMs: number;
}

/** In the order of the menu. What a role may never do is not on it; what can't be done now says why. */
export function rowActions(host: Host, { isAdmin, isLive, nowMs }: RowActionFacts): readonly RowAction[] {
  const away = isLive ? "" : "Not connected to the server.";
  const job = host.latestJob;
  const isUpdating = job !== undefined && isOpen(job.state);
  return [
    { deed: "open", label: "Open host", problem: "" },
    ...(isAdmin && !isUpdating ? [updateAction(host, away, nowMs)] : []),
    ...(isAdmin && isUpdating ? [{ deed: "cancel", label: "Cancel update…", problem: away } as const] : []),
    { deed: "copy-name", label: "Copy name", problem: "" },
    { deed: "copy-id", label: "Copy id", problem: "" },
  ];
}

function updateAction(host: Host, away: string, nowMs: number): RowAction {
  if (isHeldByQuarantine(host, nowMs)) return { deed: "update", label: "Update despite quarantine…", problem: away };
  return { deed: "update", label: "Update agent…", problem: away || (whyNotUpdatable(host, nowMs) ?? "") };
}
