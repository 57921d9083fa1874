import type { EventEmitter } from "node:events";
import type { Clock } from "../domain/clock.ts";
import type { AgentConnection } from "./connection-gate.ts";

/** Destroys the call's connection unless its last status has left within `timeoutMs`. */
export function expectFlushed(
  call: EventEmitter & { readonly cancelled: boolean },
  connection: AgentConnection,
  clock: Clock,
  timeoutMs: number,
): void {
  if (call.cancelled) return;
  const deadline = clock.schedule(timeoutMs, () => connection.destroy());
  call.once("cancelled", () => deadline[Symbol.dispose]());
}
