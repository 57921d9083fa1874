import type { Client } from "@grpc/grpc-js";

/** Connects to the first server before there is anything to say to it, while the agent reads what it left on its disk. */
export class HeadStart implements Disposable {
  readonly #server: string | undefined;
  readonly #openChannel: (server: string) => Client;
  #client: Client | undefined;

  constructor(servers: readonly string[], openChannel: (server: string) => Client) {
    [this.#server] = servers;
    this.#openChannel = openChannel;
    if (this.#server === undefined) return;
    this.#client = openChannel(this.#server);
    this.#client.getChannel().getConnectivityState(true);
  }

  /** A channel to `server`: the first one to that of the head start is the one that connects already. The caller closes it. */
  openChannel(server: string): Client {
    const client = this.#client;
    if (client === undefined || server !== this.#server) return this.#openChannel(server);
    this.#client = undefined;
    return client;
  }

  [Symbol.dispose](): void {
    this.#client?.close();
  }
}
