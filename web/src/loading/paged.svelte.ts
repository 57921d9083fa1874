/** One page of a list that the server hands out in pages. */
export interface ListPage<Item> {
  readonly items: readonly Item[];
  /** Empty on the last page. */
  readonly nextPageToken: string;
}

/** A list as far as it was asked for. */
export class Paged<Item> {
  readonly #read: (pageToken: string, signal: AbortSignal) => Promise<ListPage<Item>>;
  #reading: AbortController | undefined;
  items: readonly Item[] = $state.raw([]);
  failure: unknown = $state.raw();
  /** True once the first page is here. */
  isLoaded: boolean = $state(false);
  #nextPageToken: string = $state("");
  readonly hasMore: boolean = $derived(this.#nextPageToken !== "");

  constructor(read: (pageToken: string, signal: AbortSignal) => Promise<ListPage<Item>>) {
    this.#read = read;
  }

  /** Starts over. Returns what calls it off. */
  load(): () => void {
    return this.#ask("");
  }

  /** Asks for the next page. */
  more(): void {
    if (this.hasMore) this.#ask(this.#nextPageToken);
  }

  #ask(pageToken: string): () => void {
    this.#reading?.abort();
    const reading = new AbortController();
    this.#reading = reading;
    void this.#take(pageToken, reading.signal);
    return () => reading.abort();
  }

  async #take(pageToken: string, signal: AbortSignal): Promise<void> {
    try {
      const { items, nextPageToken } = await this.#read(pageToken, signal);
      if (signal.aborted) return;
      this.items = pageToken === "" ? items : [...this.items, ...items];
      this.#nextPageToken = nextPageToken;
      this.isLoaded = true;
      this.failure = undefined;
    } catch (failure) {
      if (!signal.aborted) this.failure = failure;
    }
  }
}
