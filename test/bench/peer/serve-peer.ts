/** What the bench asks of a peer. */
export type PeerOrder =
  | { readonly kind: "count" }
  | { readonly kind: "push" }
  | { readonly kind: "roll"; readonly inFlight: number };

/** What a peer answers. */
export interface PeerAnswer {
  readonly connections: number;
}

/** What a peer can do. */
export interface PeerDuties {
  /** Agents that are connected. */
  count(): number;
  /** Sends a command to every agent. */
  push(): void | Promise<void>;
  /** Sends it to so many at a time, until all came back. */
  roll(inFlight: number): Promise<void>;
}

/** Tells the parent process the port, and then does what it asks until it goes away. */
export function servePeer(port: number, duties: PeerDuties): void {
  const carryOut = async (order: PeerOrder): Promise<void> => {
    if (order.kind === "push") await duties.push();
    if (order.kind === "roll") await duties.roll(order.inFlight);
    process.send?.({ connections: duties.count() } satisfies PeerAnswer);
  };
  process.on("message", (order: PeerOrder) => void carryOut(order));
  process.on("disconnect", () => process.exit(0));
  process.send?.({ port });
}
