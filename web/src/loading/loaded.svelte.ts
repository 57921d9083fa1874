/** One answer of the server that a page shows, and how its loading stands. */
export class Loaded<Value> {
  readonly #read: (signal: AbortSignal) => Promise<Value>;
  #reading: AbortController | undefined;
  /** The newest answer; stays while it is asked again, and when that fails. */
  value: Value | undefined = $state.raw();
  /** Why the last try failed. */
  failure: unknown = $state.raw();

  constructor(read: (signal: AbortSignal) => Promise<Value>) {
    this.#read = read;
  }

  /** Asks again, in place of a question that is still open. Returns what calls it off. */
  load(): () => void {
    this.#reading?.abort();
    const reading = new AbortController();
    this.#reading = reading;
    void this.#take(reading.signal);
    return () => reading.abort();
  }

  async #take(signal: AbortSignal): Promise<void> {
    try {
      const value = await this.#read(signal);
      if (signal.aborted) return;
      this.value = value;
      this.failure = undefined;
    } catch (failure) {
      if (!signal.aborted) this.failure = failure;
    }
  }
}
