import type { HostId } from "../domain/ids.ts";
import { StreamEndedError } from "./stream-ended-error.ts";

/** One FetchBlocks call under way. */
export interface Transfer extends Disposable {
  readonly signal: AbortSignal;
  /** Its signal aborts with this reason. */
  abort(reason: Error): void;
}

/**
 * The FetchBlocks calls under way, one a host. A newer one ends the older: an
 * agent that lost its connection must not wait until the server notices too.
 */
export class Transfers {
  readonly #byHost = new Map<HostId, Transfer>();

  get size(): number {
    return this.#byHost.size;
  }

  /** Disposed by its handler at the end. */
  start(hostId: HostId): Transfer {
    this.abort(hostId, new StreamEndedError("aborted", "replaced by a newer FetchBlocks of this host"));
    const controller = new AbortController();
    const transfer: Transfer = {
      signal: controller.signal,
      abort: (reason) => controller.abort(reason),
      [Symbol.dispose]: () => {
        if (this.#byHost.get(hostId) === transfer) this.#byHost.delete(hostId);
      },
    };
    this.#byHost.set(hostId, transfer);
    return transfer;
  }

  /** Ends the host's transfer, if there is one. */
  abort(hostId: HostId, reason: Error): void {
    this.#byHost.get(hostId)?.abort(reason);
  }
}
