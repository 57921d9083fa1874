import type { UpdateProgress } from "../../gen/rollcall/v1/agent_pb.js";
import type { Delivery } from "./delivery.ts";

/** The open session, as the updater uses it. */
export interface UpdateLink {
  /** Number of the session, as Welcome told it. */
  readonly epoch: bigint;
  readonly delivery: Delivery;
  /** Aborted when the session ended. */
  readonly signal: AbortSignal;
  report(progress: UpdateProgress): void;
  /** Ends the session, so that a new Hello tells the server the truth. */
  close(): void;
}
