import type { Client } from "@grpc/grpc-js";
import { openChannel } from "./channel.ts";

/** Connects to the first server before there is anything to say to it, while the agent reads what it left on its disk. */
export class HeadStart implements Disposable {
  readonly #server: string | undefined;
  readonly #roots: Buffer;
  #client: Client | undefined;

  constructor(servers: readonly string[], roots: Buffer) {
    [this.#server] = servers;
    this.#roots = roots;
    if (this.#server === undefined) return;
    this.#client = openChannel(this.#server, roots);
    this.#client.getChannel().getConnectivityState(true);
  }

  /** A channel to `server`: the first one to that of the head start is the one that connects already. The caller closes it. */
  openChannel(server: string): Client {
    const client = this.#client;
    if (client === undefined || server !== this.#server) return openChannel(server, this.#roots);
    this.#client = undefined;
    return client;
  }

  [Symbol.dispose](): void {
    this.#client?.close();
  }
}
