import type { FleetUpdateId, HostId, JobId } from "../domain/ids.ts";
import type { Job } from "../domain/job.ts";
import type { NoticeBoard } from "./notice-board.ts";

/** Who tells the people that watch this server. */
export interface ChangeListener {
  hostChanged(hostId: HostId): void;
  jobChanged(job: Job): void;
  jobsChangedElsewhere(ids: readonly JobId[]): void;
  fleetUpdateChanged(id: FleetUpdateId): void;
  alertsChanged(ids: readonly string[]): void;
  everythingChanged(): void;
}

/** What changed, told here and to every other replica, whose watchers hear of it too. */
export class AnnouncedChanges implements Omit<ChangeListener, "jobsChangedElsewhere"> {
  readonly #here: ChangeListener;
  readonly #board: NoticeBoard;

  constructor(here: ChangeListener, board: NoticeBoard) {
    this.#here = here;
    this.#board = board;
    board.hear("host", (ids) => {
      for (const id of ids) here.hostChanged(id as HostId);
    });
    board.hear("job", (ids) => here.jobsChangedElsewhere(ids as readonly JobId[]));
    board.hear("fleet_update", (ids) => {
      for (const id of ids) here.fleetUpdateChanged(id as FleetUpdateId);
    });
    board.hear("alert", (ids) => here.alertsChanged(ids));
    board.hear("everything", () => here.everythingChanged());
    board.onLapse(() => here.everythingChanged());
  }

  hostChanged(hostId: HostId): void {
    this.#here.hostChanged(hostId);
    this.#board.tell("host", hostId);
  }

  jobChanged(job: Job): void {
    this.#here.jobChanged(job);
    this.#board.tell("job", job.id);
    this.#board.tell("host", job.hostId);
  }

  fleetUpdateChanged(id: FleetUpdateId): void {
    this.#here.fleetUpdateChanged(id);
    this.#board.tell("fleet_update", id);
  }

  alertsChanged(ids: readonly string[]): void {
    this.#here.alertsChanged(ids);
    for (const id of ids) this.#board.tell("alert", id);
  }

  everythingChanged(): void {
    this.#here.everythingChanged();
    this.#board.tell("everything");
  }
}
