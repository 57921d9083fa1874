/**
 * gRPC's own services on the agent listener: health and reflection. Anybody may call
 * them, on a connection that lasts no longer than any stranger's.
 */
import { create, type DescMessage } from "@bufbuild/protobuf";
import type {
  handleBidiStreamingCall,
  handleServerStreamingCall,
  handleUnaryCall,
  Server,
  ServerDuplexStream,
} from "@grpc/grpc-js";
import { grpcService } from "../../gen/grpc.ts";
import {
  Health,
  HealthCheckRequestSchema,
  HealthCheckResponseSchema,
  type HealthCheckRequest,
  type HealthCheckResponse,
} from "../../gen/grpc/health/v1/health_pb.js";
import {
  ServerReflection as ReflectionV1,
  ServerReflectionRequestSchema as RequestV1,
  ServerReflectionResponseSchema as ResponseV1,
  type ServerReflectionRequest,
} from "../../gen/grpc/reflection/v1/reflection_pb.js";
import {
  ServerReflection as ReflectionV1Alpha,
  ServerReflectionRequestSchema as RequestV1Alpha,
  ServerReflectionResponseSchema as ResponseV1Alpha,
} from "../../gen/grpc/reflection/v1alpha/reflection_pb.js";
import { answerReflection, type ServiceReflection } from "../wire/reflect-services.ts";
import type { ServingStatus } from "../wire/serving-status.ts";
import { checkMessage } from "./check-message.ts";
import { toGrpcStatus } from "./grpc-status.ts";
import { StreamEndedError } from "./stream-ended-error.ts";
import { unaryHandler, type UnaryOptions } from "./unary-handler.ts";

/** What the services work with. */
export interface StandardOptions extends UnaryOptions {
  readonly serving: ServingStatus;
  readonly reflection: ServiceReflection;
}

/** Adds them to a server. */
export function addStandardServices(server: Server, options: StandardOptions): void {
  server.addService(grpcService(Health), { check: checkHandler(options), watch: watchHandler(options) });
  server.addService(grpcService(ReflectionV1), {
    serverReflectionInfo: reflectionHandler(RequestV1, ResponseV1, options),
  });
  server.addService(grpcService(ReflectionV1Alpha), {
    serverReflectionInfo: reflectionHandler(RequestV1Alpha, ResponseV1Alpha, options),
  });
}

function checkHandler(options: StandardOptions): handleUnaryCall<HealthCheckRequest, HealthCheckResponse> {
  return unaryHandler(HealthCheckRequestSchema, options, async ({ service }) => {
    const status = options.serving.of(service);
    if (status === undefined) throw new StreamEndedError("notFound", `${service} is not served here`);
    return create(HealthCheckResponseSchema, { status });
  });
}

function watchHandler(options: StandardOptions): handleServerStreamingCall<HealthCheckRequest, HealthCheckResponse> {
  const { serving, tasks, log } = options;
  return (call) => {
    const gone = new AbortController();
    call.once("cancelled", () => gone.abort());
    if (call.cancelled) gone.abort();
    const serve = async (): Promise<void> => {
      try {
        checkMessage(HealthCheckRequestSchema, call.request);
        if (serving.isFull) throw new StreamEndedError("resourceExhausted", "too many watch already");
        for await (const status of serving.watch(call.request.service, gone.signal))
          call.write(create(HealthCheckResponseSchema, { status }));
        call.end();
      } catch (error) {
        call.emit("error", toGrpcStatus(error, "Watch", log));
      }
    };
    tasks.add(serve());
  };
}

/** Either version: their messages have the same fields. */
function reflectionHandler(
  requestSchema: DescMessage,
  responseSchema: DescMessage,
  options: StandardOptions,
): handleBidiStreamingCall<ServerReflectionRequest, unknown> {
  const { reflection, tasks, log } = options;
  return (call) => {
    const serve = async (): Promise<void> => {
      try {
        for await (const answer of answerReflection(reflection, checked(requestSchema, call), responseSchema)) {
          if (!call.write(answer)) await untilDrained(call);
        }
        call.end();
      } catch (error) {
        if (!call.cancelled) call.emit("error", toGrpcStatus(error, "ServerReflectionInfo", log));
      }
    };
    tasks.add(serve());
  };
}

async function* checked(
  schema: DescMessage,
  requests: AsyncIterable<unknown>,
): AsyncGenerator<ServerReflectionRequest> {
  for await (const request of requests as AsyncIterable<ServerReflectionRequest>) {
    checkMessage(schema, request);
    yield request;
  }
}

function untilDrained(call: ServerDuplexStream<ServerReflectionRequest, unknown>): Promise<void> {
  return new Promise((resolve) => {
    call.once("drain", resolve);
    call.once("cancelled", resolve);
  });
}
