/**
 * Seals the audit log, range after range, so that what was rewritten is seen. Every
 * server of a fleet may do so: they take turns, and whoever comes second finds nothing
 * left to do.
 *
 * The newest seal is put into the log every hour. Who keeps that log elsewhere can tell
 * whether the whole chain was replaced.
 */
import type { AuditSeal } from "../domain/audit-seal.ts";
import type { Clock } from "../domain/clock.ts";
import type { AuditSealStore } from "./ports.ts";

/** What the sealer works with. */
export interface AuditSealerParts {
  readonly store: AuditSealStore;
  readonly clock: Clock;
  /** *Units*: milliseconds from one look to the next. */
  readonly intervalMs: number;
  readonly log: (level: "info" | "warn", event: string, fields: Readonly<Record<string, unknown>>) => void;
}

const TELL_EVERY_MS = 3_600_000;

export class AuditSealer implements AsyncDisposable {
  readonly #parts: AuditSealerParts;
  /** Seen at the last look, when somebody might still have added to it. */
  #awaited: { readonly toId: bigint; readonly writers: readonly string[] } | undefined;
  #toldAtMs: number | undefined;
  #timer: Disposable | undefined;
  #sealing: Promise<void> = Promise.resolve();
  #isDisposed = false;

  constructor(parts: AuditSealerParts) {
    this.#parts = parts;
  }

  /** Looks now, and from now on at every interval. */
  start(): void {
    this.#sealing = this.#sealSafely().then(() => this.#schedule());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    this.#timer?.[Symbol.dispose]();
    await this.#sealing;
  }

  #schedule(): void {
    if (this.#isDisposed) return;
    this.#timer = this.#parts.clock.schedule(this.#parts.intervalMs, () => this.start());
  }

  async #sealSafely(): Promise<void> {
    try {
      await this.#seal();
    } catch (error) {
      // The next look makes up for it.
      this.#parts.log("warn", "sealing the audit log", { error: String(error) });
    }
  }

  async #seal(): Promise<void> {
    const { store } = this.#parts;
    const awaited = this.#awaited;
    if (awaited !== undefined) {
      if (!(await store.hasEnded(awaited.writers))) return;
      this.#awaited = undefined;
      this.#tell(await store.seal(awaited.toId));
    }
    const bound = await store.findBound();
    if (bound === undefined) return;
    if (bound.writers.length === 0) this.#tell(await store.seal(bound.toId));
    else this.#awaited = bound;
  }

  #tell(head: AuditSeal | undefined): void {
    const nowMs = this.#parts.clock.monotonicMs();
    if (head === undefined || (this.#toldAtMs !== undefined && nowMs - this.#toldAtMs < TELL_EVERY_MS)) return;
    this.#toldAtMs = nowMs;
    this.#parts.log("info", "audit log sealed", { toId: String(head.toId), digest: head.digest });
  }
}
