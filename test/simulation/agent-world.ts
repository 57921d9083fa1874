import type { HostId } from "../../server/domain/ids.ts";
import type { Dice } from "./dice.ts";
import type { ServerProcess } from "./server-process.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** What an agent sees of the rest of the world. */
export interface AgentWorld {
  readonly time: VirtualTime;
  readonly dice: Dice;
  readonly nextId: (kind: string) => string;
  /** A server that takes streams, if there is one that this host can reach now. */
  readonly findServer: () => ServerProcess | undefined;
  /** Called in the instant in which the binary is replaced. */
  readonly swapped: (hostId: HostId, jobId: string, version: string) => void;
  readonly note: (sighting: string) => void;
}
