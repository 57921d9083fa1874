/**
 * How long a client may take to send the body of one HTTP/1.1 request. All of it has
 * to come within one span, or, for an upload, a least number of bytes in each span: as
 * long as it moves, a release may take as long as its link needs.
 */
import type { IncomingMessage } from "node:http";
import type { Clock } from "../domain/clock.ts";

/** What a body has to keep to. */
export interface BodyDeadline {
  /** *Units*: milliseconds. */
  readonly spanMs: number;
  /** *Units*: bytes in each span; 0 for a body that has one span only. */
  readonly leastBytes: number;
}

/** Ends the connection of a request whose body keeps it waiting. */
export function watchBody(request: IncomingMessage, clock: Clock, { spanMs, leastBytes }: BodyDeadline): void {
  const { socket } = request;
  let seenBytes = socket.bytesRead;
  let timer: Disposable | undefined;
  const look = (): void => {
    if (request.complete) return;
    const moved = socket.bytesRead - seenBytes;
    seenBytes = socket.bytesRead;
    if (leastBytes > 0 && moved >= leastBytes) timer = clock.schedule(spanMs, look);
    else socket.destroy();
  };
  timer = clock.schedule(spanMs, look);
  request.once("close", () => timer?.[Symbol.dispose]());
}
