/**
 * Streams blocks of the artifact of a host's open job, in the order asked for.
 * Nothing is read from disk faster than the agent takes it, and the file is
 * closed however the call ends.
 */
import { open } from "node:fs/promises";
import type { handleServerStreamingCall, ServerWritableStream } from "@grpc/grpc-js";
import {
  FetchBlocksRequestSchema,
  type FetchBlocksRequest,
  type FetchBlocksResponse,
} from "../../gen/rollcall/v1/agent_pb.js";
import type { Clock } from "../domain/clock.ts";
import { bytesOf, checkRanges } from "./block-plan.ts";
import { readBlocks } from "./block-reader.ts";
import type { HostCaller } from "./callers.ts";
import { checkMessage } from "./check-message.ts";
import type { DeliveryBudget } from "./delivery-budget.ts";
import { expectFlushed } from "./flush-deadline.ts";
import { toGrpcStatus } from "./grpc-status.ts";
import type { ListenerLimits } from "./limits.ts";
import type { Delivery, DeliverySource } from "./ports.ts";
import { StreamEndedError } from "./stream-ended-error.ts";
import type { Transfers } from "./transfers.ts";
import type { UnaryOptions } from "./unary-handler.ts";

type BlocksCall = ServerWritableStream<FetchBlocksRequest, FetchBlocksResponse | Buffer>;

export interface FetchBlocksOptions extends UnaryOptions {
  readonly deliveries: DeliverySource;
  readonly budget: DeliveryBudget;
  readonly transfers: Transfers;
  readonly clock: Clock;
  readonly limits: Pick<ListenerLimits, "transferTimeoutMs" | "flushTimeoutMs">;
}

/** Serves `AgentService.FetchBlocks`. */
export function fetchBlocksHandler(
  options: FetchBlocksOptions,
): handleServerStreamingCall<FetchBlocksRequest, FetchBlocksResponse | Buffer> {
  return (call) => options.tasks.add(serve(call, options.callers.hostOf(call), options));
}

async function serve(call: BlocksCall, caller: HostCaller, options: FetchBlocksOptions): Promise<void> {
  const { transferTimeoutMs, flushTimeoutMs } = options.limits;
  const { hostId } = caller.identity;
  using transfer = options.transfers.start(hostId);
  using _deadline = options.clock.schedule(transferTimeoutMs, () =>
    transfer.abort(new StreamEndedError("aborted", `the transfer took more than ${transferTimeoutMs} ms`)),
  );
  const leave = (): void => transfer.abort(new StreamEndedError("aborted", "the agent went away"));
  call.once("cancelled", leave);
  if (call.cancelled) leave();
  try {
    checkMessage(FetchBlocksRequestSchema, call.request);
    const delivery = await options.deliveries.find(hostId, call.request.jobId);
    await send(call, delivery, transfer.signal, options.budget);
    call.end();
    // What is queued counts as under way, so that a stalled reader can't have it pile up.
    await aborted(transfer.signal);
    transfer.signal.throwIfAborted();
  } catch (error) {
    if (call.cancelled) return;
    expectFlushed(call, caller.connection, options.clock, flushTimeoutMs);
    call.emit("error", toGrpcStatus(error, "FetchBlocks", options.log));
  }
}

async function send(call: BlocksCall, delivery: Delivery, signal: AbortSignal, budget: DeliveryBudget): Promise<void> {
  const { jobId, ranges } = call.request;
  checkRanges(ranges, delivery);
  const remaining = budget.remaining(jobId, delivery.sizeBytes);
  const wanted = bytesOf(ranges, delivery);
  if (wanted > remaining) {
    throw new StreamEndedError(
      "resourceExhausted",
      `this job may fetch ${remaining} more bytes, not ${wanted}: twice the artifact in all`,
    );
  }
  const ended = aborted(signal);
  await using file = await open(delivery.artifactPath, "r");
  for await (const blocks of readBlocks(file, ranges, delivery)) {
    let sent: Promise<void> | undefined;
    for (const { message, data } of blocks) {
      signal.throwIfAborted();
      budget.charge(jobId, data.length);
      sent = write(call, message);
    }
    await Promise.race([sent, ended]);
    signal.throwIfAborted();
  }
}

/** Resolves once the message, and every one before it, was copied into the connection; never if the call ends first. */
function write(call: BlocksCall, message: Buffer): Promise<void> {
  return new Promise((resolve) => call.write(message, () => resolve()));
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
