import type { handleServerStreamingCall } from "@grpc/grpc-js";
import {
  FetchBlocksRequestSchema,
  type FetchBlocksRequest,
  type FetchBlocksResponse,
} from "../../gen/rollcall/v1/agent_pb.js";
import type { HostCaller } from "./callers.ts";
import { checkMessage } from "./check-message.ts";
import { aborted, deliverBlocks, type BlocksCall, type DeliveryParts } from "./deliver-blocks.ts";
import { expectFlushed } from "./flush-deadline.ts";
import { toGrpcStatus } from "./grpc-status.ts";
import type { ListenerLimits } from "./limits.ts";
import { StallWatch } from "./stall-watch.ts";
import { StreamEndedError } from "./stream-ended-error.ts";
import type { Transfers } from "./transfers.ts";
import type { UnaryOptions } from "./unary-handler.ts";

export interface FetchBlocksOptions extends UnaryOptions, DeliveryParts {
  readonly transfers: Transfers;
  readonly limits: Pick<ListenerLimits, "transferTimeoutMs" | "transferStallMs" | "flushTimeoutMs" | "waitNoticeMs">;
}

/** Serves `AgentService.FetchBlocks`. */
export function fetchBlocksHandler(
  options: FetchBlocksOptions,
): handleServerStreamingCall<FetchBlocksRequest, FetchBlocksResponse | Buffer> {
  return (call) => options.tasks.add(serve(call, options.callers.hostOf(call), options));
}

async function serve(call: BlocksCall, caller: HostCaller, options: FetchBlocksOptions): Promise<void> {
  const { clock } = options;
  const { transferTimeoutMs, transferStallMs, flushTimeoutMs } = options.limits;
  const { hostId } = caller.identity;
  using transfer = options.transfers.start(hostId);
  const endWith = (sentence: string): void => transfer.abort(new StreamEndedError("aborted", sentence));
  using _deadline = clock.schedule(transferTimeoutMs, () =>
    endWith(`the transfer took more than ${transferTimeoutMs} ms`),
  );
  using stall = new StallWatch(clock, transferStallMs, () =>
    endWith(`the agent took nothing for ${transferStallMs} ms`),
  );
  const leave = (): void => endWith("the agent went away");
  call.once("cancelled", leave);
  if (call.cancelled) leave();
  try {
    checkMessage(FetchBlocksRequestSchema, call.request);
    await deliverBlocks(call, hostId, transfer.signal, stall, options);
    call.end();
    // What is queued counts as under way, so that a stalled reader can't have it pile up.
    await aborted(transfer.signal);
    transfer.signal.throwIfAborted();
  } catch (error) {
    if (call.cancelled) return;
    expectFlushed(call, caller.connection, clock, flushTimeoutMs);
    call.emit("error", toGrpcStatus(error, "FetchBlocks", options.log));
  }
}
