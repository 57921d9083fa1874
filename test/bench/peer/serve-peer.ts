import type { PeerAnswer, PeerOrder } from "./peer-words.ts";

/** What a peer does when asked. */
export interface PeerDuties {
  count(): number;
  /** Sends a command to every agent. */
  push(): void;
}

/** Tells the parent process the port, and then does what it asks until it goes away. */
export function servePeer(port: number, duties: PeerDuties): void {
  process.on("message", (order: PeerOrder) => {
    if (order === "push") duties.push();
    process.send?.({ connections: duties.count() } satisfies PeerAnswer);
  });
  process.on("disconnect", () => process.exit(0));
  process.send?.({ port });
}
