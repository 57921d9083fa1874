/** Where fleet updates are asked for and called off. */
import { formatLabels } from "../../gen/labels.ts";
import { InvalidFieldError, RefusedError } from "../domain/errors.ts";
import type { Random } from "../domain/clock.ts";
import type { FleetHost, FleetUpdate, FleetUpdatePolicy } from "../domain/fleet-update.ts";
import { AGENT_PACKAGE } from "../domain/host.ts";
import type { FleetUpdateId, HostId } from "../domain/ids.ts";
import type { Labels } from "../domain/labels.ts";
import type { ChosenHost, FleetChangeSink, FleetStore, FleetTransaction } from "./ports.ts";

/** A fleet update that somebody asked for. */
export interface FleetRequest {
  /** In this order; empty for every online host that is behind. */
  readonly hostIds: readonly HostId[];
  /** Only hosts that have all of these. */
  readonly labels: Labels;
  readonly retryOf: FleetUpdateId | null;
  readonly policy: FleetUpdatePolicy;
  readonly startedBy: string;
  /** Only tell what would be done. */
  readonly validateOnly: boolean;
}

/** What the desk works with. */
export interface FleetDeskParts {
  readonly store: FleetStore;
  readonly random: Random;
  readonly changes: FleetChangeSink;
  /** Wakes the loop that carries fleet updates out. */
  readonly wake: () => void;
}

/** A fleet update and its hosts, in its order. */
export interface PlacedFleetUpdate {
  readonly update: FleetUpdate;
  readonly hosts: readonly FleetHost[];
}

export class FleetDesk {
  readonly #parts: FleetDeskParts;

  constructor(parts: FleetDeskParts) {
    this.#parts = parts;
  }

  /**
   * Writes a fleet update down; the loop carries it out.
   *
   * *Throws* RefusedError (fleet_update_running, no_target, no_hosts, fleet_update_unknown, host_unknown) and
   * InvalidFieldError for a host that is named twice or lacks a label; then nothing was written.
   */
  async start(request: FleetRequest): Promise<PlacedFleetUpdate> {
    refuseRepeatedHosts(request.hostIds);
    const { store, random, changes, wake } = this.#parts;
    const placed = await store
      .transaction(async (tx) => {
        const running = await tx.findRunning();
        if (running !== undefined) throw alreadyRunning(running);
        const toVersion = await tx.findTargetVersion();
        if (toVersion === undefined) throw new RefusedError("no_target", "No target version is set. Nothing was sent.");
        const hosts = await chooseHosts(tx, request, toVersion);
        if (hosts.length === 0) throw noHosts(request, toVersion);
        const update = await tx.insertFleetUpdate({
          id: random.uuid() as FleetUpdateId,
          package: AGENT_PACKAGE,
          toVersion,
          policy: request.policy,
          labels: request.labels,
          startedBy: request.startedBy,
          retryOf: request.retryOf,
          hosts,
        });
        const placedHosts = await tx.listHosts(update.id);
        if (request.validateOnly) throw new Preview({ update, hosts: placedHosts });
        await tx.writeAuditEvent({
          actor: request.startedBy,
          action: "fleet.update_started",
          fleetUpdateId: update.id,
          cause: "a fleet update was asked for",
          details: {
            to_version: toVersion,
            hosts: hosts.length,
            ...(request.labels.length === 0 ? {} : { labels: formatLabels(request.labels) }),
            retry_of: request.retryOf,
            ...request.policy,
          },
        });
        return { update, hosts: placedHosts };
      })
      .catch((error: unknown) => {
        if (error instanceof Preview) return error.placed;
        throw error;
      });
    if (!request.validateOnly) {
      changes.fleetUpdateChanged(placed.update.id);
      wake();
    }
    return placed;
  }

  /**
   * Stops a running fleet update: nothing more is sent, and the loop calls off what is not committed.
   *
   * *Throws* RefusedError when it is unknown or has completed or halted.
   */
  async cancel(id: FleetUpdateId, actor: string): Promise<FleetUpdate> {
    const { store, changes, wake } = this.#parts;
    const update = await store.transaction(async (tx) => {
      const found = await tx.lockFleetUpdate(id);
      if (found === undefined) throw unknownFleetUpdate(id);
      // Asked twice, answered alike.
      if (found.state === "cancelled") return found;
      if (found.state !== "running") {
        throw new RefusedError("fleet_update_ended", `The fleet update has already ended: ${found.state}.`, {
          fleet_update_id: id,
          state: found.state,
        });
      }
      await tx.writeAuditEvent({
        actor,
        action: "fleet.update_cancelled",
        fleetUpdateId: id,
        cause: "the fleet update was cancelled",
      });
      return tx.endFleetUpdate(id, { state: "cancelled" });
    });
    changes.fleetUpdateChanged(id);
    wake();
    return update;
  }
}

/** Carries a preview out of the transaction that is undone with it. */
class Preview extends Error {
  readonly placed: PlacedFleetUpdate;

  constructor(placed: PlacedFleetUpdate) {
    super("preview");
    this.name = "Preview";
    this.placed = placed;
  }
}

async function chooseHosts(
  tx: FleetTransaction,
  request: FleetRequest,
  toVersion: string,
): Promise<readonly ChosenHost[]> {
  if (request.retryOf !== null) {
    const former = await tx.lockFleetUpdate(request.retryOf);
    if (former === undefined) throw unknownFleetUpdate(request.retryOf);
    const left = (await tx.listHosts(request.retryOf)).filter((host) => host.state !== "succeeded");
    const kept = request.hostIds.length === 0 ? left : left.filter((host) => request.hostIds.includes(host.hostId));
    return tx.chooseHosts(
      kept.map((host) => host.hostId),
      request.labels,
    );
  }
  if (request.hostIds.length === 0) return tx.chooseBehind(toVersion, request.labels);
  const chosen = await tx.chooseHosts(request.hostIds, []);
  const missing = findMissing(request.hostIds, chosen);
  if (missing === undefined) {
    if (request.labels.length > 0) await refuseOthers(tx, request);
    return chosen;
  }
  throw new RefusedError(
    "host_unknown",
    `There is no host ${missing}, or it was removed or archived. Nothing was sent.`,
    {
      host_id: missing,
    },
  );
}

/** The record of a fleet update says that each of its hosts has its labels. */
async function refuseOthers(tx: FleetTransaction, { hostIds, labels }: FleetRequest): Promise<void> {
  const other = findMissing(hostIds, await tx.chooseHosts(hostIds, labels));
  if (other === undefined) return;
  throw new InvalidFieldError(`hostIds[${hostIds.indexOf(other)}]`, `names a host without ${formatLabels(labels)}`);
}

function findMissing(hostIds: readonly HostId[], chosen: readonly ChosenHost[]): HostId | undefined {
  const known = new Set(chosen.map((host) => host.hostId));
  return hostIds.find((hostId) => !known.has(hostId));
}

function refuseRepeatedHosts(hostIds: readonly HostId[]): void {
  const seen = new Set<HostId>();
  for (const [index, hostId] of hostIds.entries()) {
    if (seen.has(hostId)) throw new InvalidFieldError(`hostIds[${index}]`, `names ${hostId} a second time`);
    seen.add(hostId);
  }
}

function alreadyRunning(running: FleetUpdate): RefusedError {
  return new RefusedError(
    "fleet_update_running",
    `A fleet update to ${running.toVersion} is already running; ${running.startedBy} started it. Nothing was sent.`,
    { fleet_update_id: running.id, started_by: running.startedBy },
  );
}

function noHosts(request: FleetRequest, toVersion: string): RefusedError {
  const which = request.labels.length === 0 ? "" : ` with ${formatLabels(request.labels)}`;
  const sentence =
    request.retryOf === null ? `No online host${which} is behind ${toVersion}.` : `Every host${which} of it succeeded.`;
  return new RefusedError("no_hosts", `${sentence} There is nothing to start.`);
}

function unknownFleetUpdate(id: FleetUpdateId): RefusedError {
  return new RefusedError("fleet_update_unknown", `There is no fleet update ${id}.`, { fleet_update_id: id });
}
