/** A peer in a process of its own: what the server is measured against in the same run. */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { LoadTarget, WireKind } from "../load/orders.ts";
import type { PeerAnswer, PeerOrder } from "./peer-words.ts";

const PROGRAMS: Readonly<Record<WireKind, string>> = {
  grpc: join(import.meta.dirname, "grpc-echo-program.ts"),
  ws: join(import.meta.dirname, "ws-echo-program.ts"),
};

export class Peer implements AsyncDisposable {
  readonly target: LoadTarget;
  readonly #child: ChildProcess;

  private constructor(target: LoadTarget, child: ChildProcess) {
    this.target = target;
    this.#child = child;
  }

  /** Starts one that serves the certificate and key of `pemPath`. */
  static async start(wire: WireKind, pemPath: string, caPem: string): Promise<Peer> {
    const child = fork(PROGRAMS[wire], [pemPath], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    const [{ port }] = (await once(child, "message")) as [{ readonly port: number }];
    return new Peer({ wire, host: "127.0.0.1", port, caPem }, child);
  }

  get processId(): number {
    return this.#child.pid ?? 0;
  }

  /** Agents that are connected. */
  async count(): Promise<number> {
    return (await this.#ask("count")).connections;
  }

  /** Sends a command to each of them; resolves when all are on their way. */
  async push(): Promise<void> {
    await this.#ask("push");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exit = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await exit;
  }

  async #ask(order: PeerOrder): Promise<PeerAnswer> {
    const answered = once(this.#child, "message") as Promise<[PeerAnswer]>;
    this.#child.send(order);
    return (await answered)[0];
  }
}
