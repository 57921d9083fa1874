import { create } from "@bufbuild/protobuf";
import type { handleUnaryCall } from "@grpc/grpc-js";
import {
  FetchManifestRequestSchema,
  FetchManifestResponseSchema,
  type FetchManifestRequest,
  type FetchManifestResponse,
} from "../../gen/rollcall/v1/agent_pb.js";
import { credentialInvalid } from "./callers.ts";
import type { DeliverySource } from "./ports.ts";
import { unaryHandler, type UnaryOptions } from "./unary-handler.ts";

/** Serves `AgentService.FetchManifest`. */
export function fetchManifestHandler(
  deliveries: DeliverySource,
  options: UnaryOptions,
): handleUnaryCall<FetchManifestRequest, FetchManifestResponse> {
  return unaryHandler(FetchManifestRequestSchema, options, async (request, caller) => {
    if (caller.identity === undefined) throw credentialInvalid();
    const { manifest, signature, blockList, keys, keysSignature } = await deliveries.find(
      caller.identity.hostId,
      request.jobId,
    );
    return create(FetchManifestResponseSchema, { manifest, signature, blockList, keys, keysSignature });
  });
}
