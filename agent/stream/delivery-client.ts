/** Fetches a job's files over an open session's connection. What it started ends with the session. */
import { create } from "@bufbuild/protobuf";
import { status, type ClientReadableStream, type ClientUnaryCall, type ServiceError } from "@grpc/grpc-js";
import { grpcMethod } from "../../gen/grpc.ts";
import {
  AgentService,
  FetchBlocksRequestSchema,
  FetchManifestRequestSchema,
  type FetchBlocksResponse,
  type FetchManifestResponse,
} from "../../gen/rollcall/v1/agent_pb.js";
import { DeliveryRefusedError, type Delivery } from "../updater/delivery.ts";
import { describeFailure, failureText } from "./failure.ts";
import type { Session } from "./session.ts";

const FETCH_MANIFEST = grpcMethod(AgentService.method.fetchManifest);
const FETCH_BLOCKS = grpcMethod(AgentService.method.fetchBlocks);

/** Blocks that are checked and written at the same time. More gain nothing; each may be 1 MiB. */
const MAX_BLOCKS_IN_FLIGHT = 16;

/** Answers that another attempt will not change. */
const FINAL: ReadonlySet<status> = new Set([
  status.FAILED_PRECONDITION,
  status.NOT_FOUND,
  status.INVALID_ARGUMENT,
  status.UNIMPLEMENTED,
]);

/** The delivery of one session. */
export function createDelivery(session: Session): Delivery {
  return {
    fetchManifest: (jobId, signal) => fetchManifest(session, jobId, AbortSignal.any([session.signal, signal])),
    fetchBlocks: async (jobId, ranges, take, signal) => {
      const request = create(FetchBlocksRequestSchema, { jobId, ranges: [...ranges] });
      const stream = session.client.makeServerStreamRequest(
        FETCH_BLOCKS.path,
        FETCH_BLOCKS.requestSerialize,
        FETCH_BLOCKS.responseDeserialize,
        request,
        session.metadata,
      );
      await drain(stream, take, AbortSignal.any([session.signal, signal]));
    },
  };
}

function fetchManifest(session: Session, jobId: string, signal: AbortSignal): Promise<FetchManifestResponse> {
  return new Promise((resolve, reject) => {
    const answer = (error: ServiceError | null, response?: FetchManifestResponse): void => {
      signal.removeEventListener("abort", cut);
      if (response === undefined) reject(toError(error));
      else resolve(response);
    };
    const call: ClientUnaryCall = session.client.makeUnaryRequest(
      FETCH_MANIFEST.path,
      FETCH_MANIFEST.requestSerialize,
      FETCH_MANIFEST.responseDeserialize,
      create(FetchManifestRequestSchema, { jobId }),
      session.metadata,
      answer,
    );
    const cut = (): void => call.cancel();
    signal.addEventListener("abort", cut, { once: true });
    if (signal.aborted) cut();
  });
}

/**
 * Hands every block to `take`, at most MAX_BLOCKS_IN_FLIGHT at a time, and settles
 * only after the last of them did: nobody writes to a stage after it was dropped.
 */
function drain(
  stream: ClientReadableStream<FetchBlocksResponse>,
  take: (block: FetchBlocksResponse) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let inFlight = 0;
    let hasEnded = false;
    let failure: Error | undefined;
    const cut = (): void => stream.cancel();
    const settle = (): void => {
      if (!hasEnded || inFlight > 0) return;
      signal.removeEventListener("abort", cut);
      if (failure === undefined) resolve();
      else reject(failure);
    };
    const fail = (error: unknown): void => {
      failure ??= error instanceof Error ? error : new Error(String(error));
      stream.cancel();
      stream.resume();
    };
    const taken = (): void => {
      inFlight -= 1;
      if (stream.isPaused() && inFlight < MAX_BLOCKS_IN_FLIGHT) stream.resume();
      settle();
    };
    stream.on("data", (block: FetchBlocksResponse) => {
      if (failure !== undefined) return;
      inFlight += 1;
      if (inFlight >= MAX_BLOCKS_IN_FLIGHT) stream.pause();
      take(block).catch(fail).finally(taken);
    });
    const end = (): void => {
      hasEnded = true;
      settle();
    };
    // grpc-js tells a status other than OK as an 'error', before the 'end' that follows either way.
    stream.on("error", (error: unknown) => {
      failure ??= toError(error);
      end();
    });
    stream.on("end", end);
    signal.addEventListener("abort", cut, { once: true });
    if (signal.aborted) cut();
  });
}

function toError(error: unknown): Error {
  const failure = describeFailure(error);
  const text = failureText(failure);
  return FINAL.has(failure.code) ? new DeliveryRefusedError(text, error) : new Error(text, { cause: error });
}
