import { create } from "@bufbuild/protobuf";
import type { handleUnaryCall } from "@grpc/grpc-js";
import {
  EnrollRequestSchema,
  EnrollResponseSchema,
  type EnrollRequest,
  type EnrollResponse,
} from "../../gen/rollcall/v1/agent_pb.js";
import type { Enrollment } from "./ports.ts";
import { unaryHandler, type UnaryOptions } from "./unary-handler.ts";

/** Serves `AgentService.Enroll`. */
export function enrollHandler(
  enrollment: Enrollment,
  options: UnaryOptions,
): handleUnaryCall<EnrollRequest, EnrollResponse> {
  return unaryHandler(EnrollRequestSchema, options, async (request, caller) => {
    const { hostId, credential } = await enrollment.enroll(request);
    caller.connection.trust(hostId);
    return create(EnrollResponseSchema, { hostId, credential });
  });
}
