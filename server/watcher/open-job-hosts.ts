import type { HostId } from "../domain/ids.ts";
import type { Job } from "../domain/job.ts";

/** The hosts with an open job, as far as this server wrote or read of it: who goes first where not all can. */
export class OpenJobHosts {
  readonly #jobs = new Map<HostId, string>();

  /** Takes up where an earlier process left off. */
  load(jobs: readonly { readonly hostId: HostId; readonly id: string }[]): void {
    for (const { hostId, id } of jobs) this.#jobs.set(hostId, id);
  }

  /** A job was stored. */
  jobChanged(job: Pick<Job, "id" | "hostId" | "endedAt">): void {
    if (job.endedAt === null) this.#jobs.set(job.hostId, job.id);
    else if (this.#jobs.get(job.hostId) === job.id) this.#jobs.delete(job.hostId);
  }

  has(hostId: HostId): boolean {
    return this.#jobs.has(hostId);
  }
}
