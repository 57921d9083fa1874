/**
 * Every TCP connection of the agent listener, from accept to close. Strangers
 * get little: few connections an address, few in all, and a short time to show
 * a credential. Where they are full, a newcomer takes the place of the oldest if
 * that had time enough, and is refused otherwise: so a storm of agents gets
 * through one after the other, and connections that somebody forgot to close
 * (grpc-js clients do, when they give up during TLS) lock nobody out for long. The sockets stay in reach because nothing else can end a stream
 * whose reader stalls: its status would queue behind the data it does not read.
 */
import type { Socket } from "node:net";
import type { Clock } from "../domain/clock.ts";
import type { HostId } from "../domain/ids.ts";
import type { ListenerLimits } from "./limits.ts";

/** One accepted connection. */
export interface AgentConnection {
  /** `<address>:<port>` */
  readonly peer: string;
  /** A call on it carried a valid credential of this host: it no longer counts as a stranger. */
  trust(hostId: HostId): void;
  /** Ends it and every stream on it, at once. */
  destroy(): void;
}

type GateLimits = Pick<
  ListenerLimits,
  | "authenticationTimeoutMs"
  | "strangerPatienceMs"
  | "unauthenticatedPerAddress"
  | "unauthenticatedInAll"
  | "connectionsPerHost"
>;

/** Connections that showed no credential yet, by the monotonic time of their accept, oldest first. */
type Strangers = Map<AgentConnection, number>;

/** Admits connections within limits and finds them again by peer. */
export class ConnectionGate {
  readonly #limits: GateLimits;
  readonly #clock: Clock;
  readonly #connections = new Map<string, AgentConnection>();
  readonly #strangers: Strangers = new Map();
  readonly #strangersByAddress = new Map<string, Strangers>();
  /** Oldest first. */
  readonly #byHost = new Map<HostId, Set<AgentConnection>>();
  readonly #waiting: (() => void)[] = [];
  #refused = 0;

  constructor(limits: GateLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
  }

  /** Open connections. */
  get size(): number {
    return this.#connections.size;
  }

  /** Open connections that showed no credential yet. */
  get strangers(): number {
    return this.#strangers.size;
  }

  /** Connections refused at accept since the start. */
  get refused(): number {
    return this.#refused;
  }

  /** Takes a fresh socket, or resets it. *Shape*: true when it was taken. */
  admit(socket: Socket): boolean {
    const address = socket.remoteAddress;
    // A reset before the reason is read is an event on the socket, not a failure.
    socket.on("error", () => {});
    if (address === undefined || !this.#makeRoom(address)) {
      this.#refused += 1;
      socket.resetAndDestroy();
      return false;
    }
    const deadline = this.#clock.schedule(this.#limits.authenticationTimeoutMs, () => socket.destroy());
    const leaveStrangers = (): void => {
      deadline[Symbol.dispose]();
      this.#leaveStrangers(connection, address);
    };
    let owner: HostId | undefined;
    const connection: AgentConnection = {
      peer: `${address}:${socket.remotePort}`,
      trust: (hostId) => {
        leaveStrangers();
        if (owner !== undefined || socket.destroyed) return;
        owner = hostId;
        this.#assign(connection, hostId);
      },
      destroy: () => socket.destroy(),
    };
    this.#connections.set(connection.peer, connection);
    this.#joinStrangers(connection, address);
    socket.once("close", () => {
      leaveStrangers();
      // The peer's port may be in use again already.
      if (this.#connections.get(connection.peer) === connection) this.#connections.delete(connection.peer);
      if (owner !== undefined) this.#unassign(connection, owner);
      if (this.#connections.size === 0) for (const resolve of this.#waiting.splice(0)) resolve();
    });
    return true;
  }

  /** *Shape*: `undefined` once it is closed. */
  find(peer: string): AgentConnection | undefined {
    return this.#connections.get(peer);
  }

  /** Ends every connection. */
  destroyAll(): void {
    for (const connection of this.#connections.values()) connection.destroy();
  }

  /** Resolves when no connection is open. */
  async emptied(): Promise<void> {
    if (this.#connections.size > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** A host with too many connections loses its oldest one. */
  #assign(connection: AgentConnection, hostId: HostId): void {
    const connections = this.#byHost.get(hostId) ?? new Set();
    this.#byHost.set(hostId, connections.add(connection));
    const [oldest] = connections;
    if (connections.size <= this.#limits.connectionsPerHost || oldest === undefined) return;
    this.#unassign(oldest, hostId);
    oldest.destroy();
  }

  #unassign(connection: AgentConnection, hostId: HostId): void {
    const connections = this.#byHost.get(hostId);
    connections?.delete(connection);
    if (connections?.size === 0) this.#byHost.delete(hostId);
  }

  /** *Shape*: false when there is none and nobody may be sent away for it. */
  #makeRoom(address: string): boolean {
    const { unauthenticatedPerAddress, unauthenticatedInAll } = this.#limits;
    const sameAddress = this.#strangersByAddress.get(address) ?? new Map<AgentConnection, number>();
    for (const [strangers, limit] of [
      [sameAddress, unauthenticatedPerAddress],
      [this.#strangers, unauthenticatedInAll],
    ] as const) {
      if (strangers.size >= limit && !this.#sendOldestAway(strangers)) return false;
    }
    return true;
  }

  #sendOldestAway(strangers: Strangers): boolean {
    for (const [oldest, acceptedAtMs] of strangers) {
      if (this.#clock.monotonicMs() - acceptedAtMs < this.#limits.strangerPatienceMs) return false;
      this.#leaveStrangers(oldest, addressOf(oldest));
      oldest.destroy();
      return true;
    }
    return false;
  }

  #joinStrangers(connection: AgentConnection, address: string): void {
    const acceptedAtMs = this.#clock.monotonicMs();
    const sameAddress: Strangers = this.#strangersByAddress.get(address) ?? new Map();
    this.#strangersByAddress.set(address, sameAddress.set(connection, acceptedAtMs));
    this.#strangers.set(connection, acceptedAtMs);
  }

  #leaveStrangers(connection: AgentConnection, address: string): void {
    this.#strangers.delete(connection);
    const sameAddress = this.#strangersByAddress.get(address);
    sameAddress?.delete(connection);
    if (sameAddress?.size === 0) this.#strangersByAddress.delete(address);
  }
}

function addressOf(connection: AgentConnection): string {
  return connection.peer.slice(0, connection.peer.lastIndexOf(":"));
}
