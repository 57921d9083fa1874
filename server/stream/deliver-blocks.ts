/**
 * Sends the blocks that one call asks for, in the order asked for, when it is their
 * turn. Nothing is read from disk faster than the agent takes it, and the file is
 * closed however the call ends.
 *
 * A host that waits for its turn is told so now and then by a message without a
 * block, so that it can tell a busy server from a dead one.
 */
import type { ServerWritableStream } from "@grpc/grpc-js";
import type { FetchBlocksRequest, FetchBlocksResponse } from "../../gen/rollcall/v1/agent_pb.js";
import { bytesOf, checkRanges } from "../domain/block-layout.ts";
import type { Clock } from "../domain/clock.ts";
import type { HostId } from "../domain/ids.ts";
import { DeliveryAccount } from "./delivery-account.ts";
import type { DeliveryBudget } from "./delivery-budget.ts";
import type { DeliveryTurns } from "./delivery-turns.ts";
import type { ListenerLimits } from "./limits.ts";
import type { BlockSource, Delivery, DeliveryAccounts, DeliverySource, StreamLog } from "./ports.ts";
import type { StallWatch } from "./stall-watch.ts";
import { StreamEndedError } from "./stream-ended-error.ts";

/** One FetchBlocks call. */
export type BlocksCall = ServerWritableStream<FetchBlocksRequest, FetchBlocksResponse | Buffer>;

/** What deliveries work with. */
export interface DeliveryParts {
  readonly deliveries: DeliverySource;
  readonly blocks: BlockSource;
  readonly turns: DeliveryTurns;
  readonly accounts: DeliveryAccounts;
  readonly budget: DeliveryBudget;
  readonly clock: Clock;
  readonly log: StreamLog;
  readonly limits: Pick<ListenerLimits, "waitNoticeMs">;
}

/** An empty FetchBlocksResponse. */
const STILL_WAITING = Buffer.alloc(0);

/** Resolves once everything is handed to the connection. *Throws* whatever ends the call. */
export async function deliverBlocks(
  call: BlocksCall,
  hostId: HostId,
  signal: AbortSignal,
  stall: StallWatch,
  parts: DeliveryParts,
): Promise<void> {
  const { jobId } = call.request;
  const find = async (): Promise<Delivery> => {
    const found = await parts.deliveries.find(hostId, jobId);
    checkRequest(call.request, found, parts.budget);
    return found;
  };
  const waitTurn = async <Result>(turn: Promise<Result>): Promise<Result> => {
    using _notices = noticeWaiting(call, parts.clock, parts.limits.waitNoticeMs);
    return await stall.pausedFor(turn);
  };
  const asked = await find();
  const mustWait = parts.turns.isFull;
  using _place = await waitTurn(parts.turns.enter(jobId, signal));
  // Much may have changed meanwhile: whether the job is still open, for one.
  const delivery = mustWait ? await find() : asked;
  const account = new DeliveryAccount(hostId, jobId, parts);
  try {
    await send(call, delivery, signal, stall, { ...parts, account, waitTurn });
  } finally {
    // Before the call's end, so that what was delivered stands when the agent says that it has everything.
    await account.close();
  }
}

function checkRequest({ jobId, ranges }: FetchBlocksRequest, delivery: Delivery, budget: DeliveryBudget): void {
  checkRanges(ranges, delivery);
  const remaining = budget.remaining(jobId, delivery.sizeBytes, delivery.bytesDelivered);
  const wanted = bytesOf(ranges, delivery);
  if (wanted <= remaining) return;
  throw new StreamEndedError(
    "resourceExhausted",
    `this job may fetch ${remaining} more bytes, not ${wanted}: twice the artifact in all`,
  );
}

interface Sending extends DeliveryParts {
  readonly account: DeliveryAccount;
  readonly waitTurn: <Result>(turn: Promise<Result>) => Promise<Result>;
}

async function send(
  call: BlocksCall,
  delivery: Delivery,
  signal: AbortSignal,
  stall: StallWatch,
  { blocks, turns, budget, account, waitTurn }: Sending,
): Promise<void> {
  const { jobId, ranges } = call.request;
  const ended = aborted(signal);
  await using artifact = await blocks.open(delivery);
  for await (const ready of artifact.read(ranges)) {
    let sent: Promise<void> | undefined;
    for (const { message, data } of ready) {
      const turn = turns.nextBlock(jobId, data.length, signal);
      if (turn !== undefined) await waitTurn(turn);
      signal.throwIfAborted();
      budget.charge(jobId, data.length);
      account.count(data.length);
      sent = write(call, message, stall.moved);
    }
    await Promise.race([sent, ended]);
    signal.throwIfAborted();
  }
}

/** Resolves once the message, and every one before it, was copied into the connection; never if the call ends first. */
function write(call: BlocksCall, message: Buffer, onSent: () => void): Promise<void> {
  return new Promise((resolve) => {
    call.write(message, () => {
      onSent();
      resolve();
    });
  });
}

function noticeWaiting(call: BlocksCall, clock: Clock, intervalMs: number): Disposable {
  const schedule = (): Disposable =>
    clock.schedule(intervalMs, () => {
      call.write(STILL_WAITING);
      timer = schedule();
    });
  let timer = schedule();
  return { [Symbol.dispose]: () => timer[Symbol.dispose]() };
}

/** Resolves once the signal aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
