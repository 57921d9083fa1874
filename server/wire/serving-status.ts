/**
 * What gRPC's health service tells: serving, until the server begins to stop. It says
 * no more than the name of a service that is public anyway, so anybody may ask; how
 * many may wait for changes at once is bounded.
 *
 * *Source*: grpc/doc/health-checking.md.
 */
import { HealthCheckResponse_ServingStatus as Status } from "../../gen/grpc/health/v1/health_pb.js";

const MOST_WATCHERS = 100;

export class ServingStatus {
  readonly #services: ReadonlySet<string>;
  readonly #wakers = new Set<() => void>();
  #isStopping = false;

  /** Knows these services, and the whole server by the empty name. */
  constructor(services: readonly { readonly typeName: string }[]) {
    this.#services = new Set(["", ...services.map(({ typeName }) => typeName)]);
  }

  /** *Shape*: `undefined` for a service that is not served here. */
  of(service: string): Status | undefined {
    if (!this.#services.has(service)) return undefined;
    return this.#isStopping ? Status.NOT_SERVING : Status.SERVING;
  }

  /** From now on nothing is served. Watchers are told, and leave. */
  stop(): void {
    this.#isStopping = true;
    for (const wake of this.#wakers) wake();
  }

  /** How many wait for changes. */
  get watchers(): number {
    return this.#wakers.size;
  }

  /** True when nobody more may watch. */
  get isFull(): boolean {
    return this.#wakers.size >= MOST_WATCHERS;
  }

  /** The present status, then every change, until `signal` aborts or the server stops. */
  async *watch(service: string, signal: AbortSignal): AsyncGenerator<Status> {
    const { promise: changed, resolve } = Promise.withResolvers<void>();
    const wake = (): void => resolve();
    this.#wakers.add(wake);
    signal.addEventListener("abort", wake, { once: true });
    try {
      const told = this.of(service) ?? Status.SERVICE_UNKNOWN;
      yield told;
      // It may have begun to stop while the first answer was on its way.
      if (!this.#isStopping && !signal.aborted) await changed;
      const current = this.of(service) ?? Status.SERVICE_UNKNOWN;
      if (!signal.aborted && current !== told) yield current;
    } finally {
      signal.removeEventListener("abort", wake);
      this.#wakers.delete(wake);
    }
  }
}
