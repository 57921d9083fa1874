/** Puts the parts together by which this server is one of several. */
import type { OpenCallers } from "./api/open-callers.ts";
import type { Clock } from "./domain/clock.ts";
import type { Durations } from "./domain/durations.ts";
import type { HostId, SessionEpoch } from "./domain/ids.ts";
import type { Log } from "./log.ts";
import type { AnnouncedChanges } from "./replicas/announced-changes.ts";
import type { NoticeBoard } from "./replicas/notice-board.ts";
import type { ReplicaStore } from "./replicas/ports.ts";
import { ReplicaLoop } from "./replicas/replica-loop.ts";
import type { AgentListener } from "./stream/listener.ts";
import type { HostMailboxes } from "./watcher/host-mailboxes.ts";
import { JobCourier, type ErrandStore } from "./watcher/job-courier.ts";
import { hostRemoved } from "./watcher/operator-acts.ts";
import type { SessionWatcher, Takeover } from "./watcher/session-watcher.ts";
import type { FleetUpdateLoop } from "./worker/fleet-update-loop.ts";

/** What the parts are made of. */
export interface ReplicaOptions {
  readonly board: NoticeBoard;
  readonly store: ReplicaStore;
  readonly errands: ErrandStore;
  readonly agents: AgentListener;
  readonly mailboxes: HostMailboxes;
  readonly watcher: SessionWatcher;
  readonly fleetLoop: FleetUpdateLoop;
  readonly openCallers: OpenCallers;
  readonly changes: AnnouncedChanges;
  readonly clock: Clock;
  readonly durations: Durations;
  readonly log: Log;
  /** Called when this server has to end: another runs under its name. */
  readonly onTaken: () => void;
}

/** A takeover as the id of a notice. */
export function writeTakeover({ hostId, epoch, fromInstanceId, toInstanceId }: Takeover): string {
  return [hostId, epoch, fromInstanceId, toInstanceId].join(" ");
}

/** A session that another machine ended by taking its host's place: as one that it took over itself. */
export function writeVoided(
  hostId: HostId,
  session: { readonly epoch: SessionEpoch; readonly instanceId: string },
): string {
  const { epoch, instanceId } = session;
  const next = (epoch + 1n) as SessionEpoch;
  return writeTakeover({ hostId, epoch: next, fromInstanceId: instanceId, toInstanceId: instanceId });
}

/** Starts to listen to the others, to look after them and to bring their jobs to the hosts that are here. */
export function startReplicaParts(options: ReplicaOptions): AsyncDisposable {
  const { board, agents, mailboxes, fleetLoop, openCallers, clock, durations, log } = options;
  const parts = new AsyncDisposableStack();
  const loop = parts.use(
    new ReplicaLoop({
      store: options.store,
      sessions: {
        list: () =>
          [...agents.sessions].flatMap(({ hostId, epoch }) => (epoch === undefined ? [] : [{ hostId, epoch }])),
        has: (hostId) => mailboxes.has(hostId),
        endUpTo: (hostId, epoch) => agents.endUpTo(hostId, epoch),
        sendAway: () => agents.sendAway(),
      },
      hostChanged: (hostId) => options.changes.hostChanged(hostId),
      onTaken: options.onTaken,
      clock,
      durations,
      log,
    }),
  );
  loop.start();
  if (!board.isShared) return parts;
  const courier = parts.use(
    new JobCourier({ store: options.errands, mailboxes, clock, intervalMs: durations.tickIntervalMs, log }),
  );
  courier.start();
  board.hear("errand", (ids) => courier.look(ids as readonly HostId[]));
  board.hear("session", (ids) => {
    for (const id of ids) hearTakeover(id, options);
  });
  board.hear("host_removed", (ids) => {
    for (const id of ids) agents.disconnect(id as HostId, hostRemoved());
  });
  board.hear("rights", () => openCallers.rightsChanged());
  board.hear("fleet_loop", () => fleetLoop.wake());
  board.onLapse(() => {
    loop.review();
    openCallers.rightsChanged();
    fleetLoop.wake();
  });
  return parts;
}

function hearTakeover(id: string, { agents, watcher }: ReplicaOptions): void {
  const [hostId = "", epoch = "0", fromInstanceId = "", toInstanceId = ""] = id.split(" ");
  const takeover = { hostId: hostId as HostId, epoch: BigInt(epoch) as SessionEpoch, fromInstanceId, toInstanceId };
  watcher.replacedElsewhere(takeover);
  agents.endUpTo(takeover.hostId, (takeover.epoch - 1n) as SessionEpoch);
}
