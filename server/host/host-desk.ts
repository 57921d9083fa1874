/** Where hosts are named, labelled, archived and brought back. */
import { formatLabels } from "../../gen/labels.ts";
import { InvalidFieldError, RefusedError } from "../domain/errors.ts";
import type { HostId } from "../domain/ids.ts";
import { editLabels, MOST_LABELS, type LabelEdit } from "../domain/labels.ts";
import type { HostChanges, HostStore } from "./ports.ts";

/** What somebody asked to have changed about a host. */
export interface HostEdit {
  readonly hostId: HostId;
  /** Empty for its hostname; `undefined` to leave it. */
  readonly displayName: string | undefined;
  readonly labels: LabelEdit;
}

/** What the desk works with. */
export interface HostDeskParts {
  readonly store: HostStore;
  readonly changes: HostChanges;
}

export class HostDesk {
  readonly #parts: HostDeskParts;

  constructor(parts: HostDeskParts) {
    this.#parts = parts;
  }

  /**
   * Names and labels a host. What changes nothing is not noted.
   *
   * *Throws* RefusedError (host_unknown), and InvalidFieldError for a name with a space at an end and for more labels
   * than a host may have; then nothing was changed.
   */
  async edit({ hostId, displayName, labels: edit }: HostEdit, actor: string): Promise<void> {
    if (displayName !== undefined && displayName !== displayName.trim())
      throw new InvalidFieldError("displayName", "must not begin or end with a space");
    await this.#parts.store.transaction(async (tx) => {
      const known = await tx.lockDescription(hostId);
      if (known === undefined) throw unknownHost(hostId);
      const labels = editLabels(known.labels, edit);
      if (labels.length > MOST_LABELS) {
        throw new InvalidFieldError(
          "setLabels",
          `would give the host ${labels.length} labels, and ${MOST_LABELS} are the most`,
        );
      }
      const isRenamed = displayName !== undefined && displayName !== known.displayName;
      const isLabelled = formatLabels(labels) !== formatLabels(known.labels);
      if (!isRenamed && !isLabelled) return;
      if (isRenamed) await tx.nameHost(hostId, displayName);
      if (isLabelled) await tx.replaceLabels(hostId, labels);
      await tx.writeAuditEvent({
        actor,
        action: "host.edited",
        hostId,
        cause: "the host was named or labelled",
        details: {
          ...(isRenamed ? { display_name: displayName, display_name_before: known.displayName } : {}),
          ...(isLabelled ? { labels: formatLabels(labels), labels_before: formatLabels(known.labels) } : {}),
        },
      });
    });
    this.#parts.changes.hostChanged(hostId);
  }

  /**
   * Archives a host: its alerts close, and it counts nowhere from now on. Its agent is not told and may stay connected.
   *
   * *Throws* RefusedError (host_unknown, update_running); then nothing was changed.
   */
  async archive(hostId: HostId, actor: string): Promise<void> {
    await this.#parts.store.transaction(async (tx) => {
      if ((await tx.lockDescription(hostId)) === undefined) throw unknownHost(hostId);
      // Asked twice, answered alike.
      if (!(await tx.archiveHost(hostId))) return;
      const jobId = await tx.findOpenJob(hostId);
      if (jobId !== undefined) {
        throw new RefusedError(
          "update_running",
          "An update of this host is running. Cancel it, or wait for its end; nothing was changed.",
          { host_id: hostId, job_id: jobId },
        );
      }
      await tx.resolveAlerts(hostId, ["update_failed", "host_offline", "duplicate_identity"]);
      await tx.writeAuditEvent({ actor, action: "host.archived", hostId, cause: "the host was archived" });
    });
    this.#parts.changes.hostChanged(hostId);
  }

  /** Brings an archived host back; what is wrong with it is told of again. *Throws* RefusedError (host_unknown). */
  async unarchive(hostId: HostId, actor: string): Promise<void> {
    await this.#parts.store.transaction(async (tx) => {
      if ((await tx.lockDescription(hostId)) === undefined) throw unknownHost(hostId);
      if (!(await tx.unarchiveHost(hostId))) return;
      await tx.writeAuditEvent({ actor, action: "host.unarchived", hostId, cause: "the host was brought back" });
    });
    this.#parts.changes.hostChanged(hostId);
  }
}

function unknownHost(hostId: HostId): RefusedError {
  return new RefusedError("host_unknown", `There is no host ${hostId}, or it was removed. Nothing was changed.`, {
    host_id: hostId,
  });
}
