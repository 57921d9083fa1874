/**
 * Callers with an open stream. What let them in may be taken away while the stream is
 * open; so all of them are looked up again every two seconds, by one question however
 * many there are, and at once when this server itself took something away.
 *
 * While the database is away nobody is sent off: a revocation could not be stored
 * either, and streams have nothing new to say.
 */
import { Code, ConnectError } from "@connectrpc/connect";
import type { Role } from "../../gen/rollcall/v1/options_pb.js";
import type { Caller } from "../domain/caller.ts";
import type { Clock } from "../domain/clock.ts";
import type { CallerDirectory } from "./caller.ts";

const CHECK_EVERY_MS = 2_000;

interface OpenCaller {
  readonly caller: Caller;
  readonly role: Role;
  readonly ended: AbortController;
}

/** One open stream's hold on its caller's rights. */
export interface HeldRights extends Disposable {
  /** Aborts, with a ConnectError, when the caller may no longer have the stream. */
  readonly ended: AbortSignal;
}

export class OpenCallers implements AsyncDisposable {
  readonly #directory: Pick<CallerDirectory, "findRoles">;
  readonly #clock: Clock;
  readonly #onError: (error: unknown) => void;
  readonly #open = new Set<OpenCaller>();
  #timer: Disposable | undefined;
  #checking: Promise<void> = Promise.resolve();
  #isDisposed = false;

  constructor(directory: Pick<CallerDirectory, "findRoles">, clock: Clock, onError: (error: unknown) => void) {
    this.#directory = directory;
    this.#clock = clock;
    this.#onError = onError;
  }

  /** How many streams are open. */
  get size(): number {
    return this.#open.size;
  }

  /** Watches over `caller` until disposed. `role` is what the stream asks for. */
  hold(caller: Caller, role: Role): HeldRights {
    const open: OpenCaller = { caller, role, ended: new AbortController() };
    this.#open.add(open);
    this.#schedule();
    return { ended: open.ended.signal, [Symbol.dispose]: () => this.#open.delete(open) };
  }

  /** Something was taken away: looks at once. */
  rightsChanged(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#check();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    this.#timer?.[Symbol.dispose]();
    await this.#checking;
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#isDisposed || this.#open.size === 0) return;
    this.#timer = this.#clock.schedule(CHECK_EVERY_MS, () => {
      this.#timer = undefined;
      this.#check();
    });
  }

  #check(): void {
    this.#checking = this.#checking
      .then(() => this.#endRevoked())
      .catch((error: unknown) => this.#onError(error))
      .finally(() => this.#schedule());
  }

  async #endRevoked(): Promise<void> {
    const asked = [...this.#open];
    if (asked.length === 0) return;
    const roles = await this.#directory.findRoles(asked.map(({ caller }) => caller));
    for (const { caller, role, ended } of asked) {
      const current = roles.get(caller);
      if (current === undefined) {
        ended.abort(new ConnectError("Your session or token has ended.", Code.Unauthenticated));
      } else if (current < role) {
        ended.abort(new ConnectError("Your role no longer allows this.", Code.PermissionDenied));
      }
    }
  }
}
