/** A place on loopback that messages are posted to, and that answers as told. */
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Mailbox } from "../../support/mailbox.ts";

/** What was posted. */
export interface Post {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export class Receiver implements AsyncDisposable {
  /** Posts in the order in which they came. */
  readonly posts = new Mailbox<Post>();
  /** Answers one post. */
  answer: (response: ServerResponse, post: Post) => void = (response) => response.end("ok");
  /** Posts so far. */
  count = 0;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Listens on a free port. */
  static async start(): Promise<Receiver> {
    const server = createServer();
    const receiver = new Receiver(server);
    server.on("request", (request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const post = { path: request.url ?? "", headers: request.headers, body: Buffer.concat(chunks).toString() };
        receiver.count += 1;
        receiver.posts.put(post);
        receiver.answer(response, post);
      });
    });
    const { promise, resolve } = Promise.withResolvers<void>();
    server.listen(0, "127.0.0.1", () => resolve());
    await promise;
    return receiver;
  }

  /** `http://127.0.0.1:<port>` */
  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    this.#server.closeAllConnections();
    await promise;
  }
}
