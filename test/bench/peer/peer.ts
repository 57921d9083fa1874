/** A peer in a process of its own: what the server is measured against in the same run. */
import { fork, type ChildProcess } from "node:child_process";
import { join } from "node:path";
import { endChild, nextMessage } from "../child-answer.ts";
import type { Crowd } from "../crowd.ts";
import type { LoadTarget } from "../load/orders.ts";
import type { PeerAnswer, PeerOrder } from "./serve-peer.ts";

/** What there is to compare with. */
export const PEERS = {
  /** grpc-js that only answers. */
  "grpc echo": { wire: "grpc", program: "grpc-echo-program.ts" },
  /** The same over WebSockets. */
  "ws echo": { wire: "ws", program: "ws-echo-program.ts" },
  /** The server's listener without what stands behind it. */
  listener: { wire: "grpc", program: "listener-program.ts" },
} as const;

/** The name of a peer. */
export type PeerName = keyof typeof PEERS;

export class Peer implements AsyncDisposable {
  readonly name: PeerName;
  readonly target: LoadTarget;
  readonly #child: ChildProcess;
  readonly #signal: AbortSignal;

  private constructor(name: PeerName, target: LoadTarget, child: ChildProcess, signal: AbortSignal) {
    this.name = name;
    this.target = target;
    this.#child = child;
    this.#signal = signal;
  }

  /** Starts one that serves the certificate of a crowd's server. */
  static async start(name: PeerName, crowd: Crowd, signal: AbortSignal): Promise<Peer> {
    const { wire, program } = PEERS[name];
    const child = fork(join(import.meta.dirname, program), [crowd.pemPath, crowd.credentialKeyPath], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    const { port } = await nextMessage<{ readonly port: number }>(child, name, signal);
    return new Peer(name, { wire, host: "127.0.0.1", port, caPem: crowd.caPem }, child, signal);
  }

  get processId(): number {
    return this.#child.pid ?? 0;
  }

  /** Agents that are connected. */
  async count(): Promise<number> {
    return (await this.#ask({ kind: "count" })).connections;
  }

  /** Sends a command to each of them; resolves when all are on their way. */
  async push(): Promise<void> {
    await this.#ask({ kind: "push" });
  }

  /** Sends it to so many at a time; resolves when all came back. */
  async roll(inFlight: number): Promise<void> {
    await this.#ask({ kind: "roll", inFlight });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await endChild(this.#child);
  }

  async #ask(order: PeerOrder): Promise<PeerAnswer> {
    const answered = nextMessage<PeerAnswer>(this.#child, this.name, this.#signal);
    this.#child.send(order);
    return answered;
  }
}
