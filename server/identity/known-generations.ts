/**
 * The lowest credential generation that is accepted of each host, remembered: a fleet
 * that comes back at once is let in without a question a host. Only what was found is
 * remembered, so a host that was just enrolled is asked for. Whoever changes a
 * generation, or hears that another server did, forgets it here; who could not listen
 * for a while forgets all. A session is opened only by the database's own word.
 */
import type { HostId } from "../domain/ids.ts";

/** See the chapter above. */
export class KnownGenerations {
  readonly #read: (hostId: HostId) => Promise<number | undefined>;
  readonly #known = new Map<HostId, number>();
  /** Rises with everything that is forgotten: what was read before may be of before. */
  #forgotten = 0;

  constructor(read: (hostId: HostId) => Promise<number | undefined>) {
    this.#read = read;
  }

  /** *Shape*: `undefined` for a host that is unknown or was removed. */
  async find(hostId: HostId): Promise<number | undefined> {
    const known = this.#known.get(hostId);
    if (known !== undefined) return known;
    const forgottenBefore = this.#forgotten;
    const found = await this.#read(hostId);
    if (found !== undefined && this.#forgotten === forgottenBefore) this.#known.set(hostId, found);
    return found;
  }

  forget(hostIds: readonly HostId[]): void {
    this.#forgotten += 1;
    for (const hostId of hostIds) this.#known.delete(hostId);
  }

  forgetAll(): void {
    this.#forgotten += 1;
    this.#known.clear();
  }
}
