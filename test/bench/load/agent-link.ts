/** How a simulated agent reaches a server, whatever is spoken on the way. */
import type { WireKind } from "./orders.ts";

/** How a stream ended. */
export interface LinkEnd {
  /** A word for the table: a status of gRPC, or what happened to the socket. */
  readonly cause: string;
  /** True when the server understood who this is and will not have it. */
  readonly isTurnedAway: boolean;
  /** *Units*: milliseconds that the server asked to wait, 0 when it did not. */
  readonly askedMs: number;
}

/** What a link tells its agent. `ended` comes once, and nothing after it. */
export interface LinkEvents {
  /** One ServerMessage, as bytes. */
  message(bytes: Buffer): void;
  ended(end: LinkEnd): void;
}

/** One connection with one stream of messages on it. */
export interface AgentLink {
  /** Queues one AgentMessage. */
  send(bytes: Uint8Array): void;
  /** Another call on the same connection: all the messages of its answer. *Throws* Error when it ends otherwise than well. */
  request(path: string, bytes: Uint8Array): Promise<readonly Buffer[]>;
  /** Says goodbye: what was sent arrives, and the connection is cut once the server has answered. */
  leave(): void;
  /** Cuts the connection. */
  destroy(): void;
}

/** Where a link leads, and from where. */
export interface LinkTarget {
  readonly wire: WireKind;
  readonly host: string;
  readonly port: number;
  readonly caPem: string;
  /** The address of this agent alone: servers count strangers by address. */
  readonly localAddress: string;
  readonly credential: string;
}

/** An end that the server did not explain. */
export function brokenLink(cause: string): LinkEnd {
  return { cause, isTurnedAway: false, askedMs: 0 };
}
