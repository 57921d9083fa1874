import type { Log, LogFields } from "../../agent/log.ts";

/** One event that was logged. */
export interface LoggedEvent extends LogFields {
  readonly level: string;
  readonly event: string;
}

/** A log that remembers, and tells a test when an event came. */
export class RecordingLog implements Log {
  readonly events: LoggedEvent[] = [];
  readonly #watchers = new Set<() => void>();

  info(event: string, fields?: LogFields): void {
    this.#record("info", event, fields);
  }

  warn(event: string, fields?: LogFields): void {
    this.#record("warn", event, fields);
  }

  error(event: string, fields?: LogFields): void {
    this.#record("error", event, fields);
  }

  /** Resolves with the `count`th event of that name. */
  async until(event: string, count = 1): Promise<LoggedEvent> {
    for (;;) {
      const found = this.events.filter((logged) => logged.event === event)[count - 1];
      if (found !== undefined) return found;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#watchers.add(resolve);
      await promise;
      this.#watchers.delete(resolve);
    }
  }

  #record(level: string, event: string, fields: LogFields = {}): void {
    this.events.push({ level, event, ...fields });
    for (const watcher of this.#watchers) watcher();
  }
}
