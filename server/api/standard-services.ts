/** gRPC's own services on the web listener: health and reflection. */
import type { DescService } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { Health } from "../../gen/grpc/health/v1/health_pb.js";
import {
  ServerReflection as ReflectionV1,
  ServerReflectionResponseSchema as ResponseV1,
} from "../../gen/grpc/reflection/v1/reflection_pb.js";
import {
  ServerReflection as ReflectionV1Alpha,
  ServerReflectionResponseSchema as ResponseV1Alpha,
} from "../../gen/grpc/reflection/v1alpha/reflection_pb.js";
import { answerReflection, ServiceReflection } from "../wire/reflect-services.ts";
import type { ServingStatus } from "../wire/serving-status.ts";

/** Adds them to a router that serves `services`, these included. */
export function routeStandardServices(
  router: ConnectRouter,
  services: readonly DescService[],
  serving: ServingStatus,
): void {
  const reflection = new ServiceReflection(services);
  router.service(Health, {
    check({ service }) {
      const status = serving.of(service);
      if (status === undefined) throw new ConnectError(`${service} is not served here.`, Code.NotFound);
      return { status };
    },
    async *watch({ service }, context) {
      if (serving.isFull) throw new ConnectError("Too many watch already.", Code.ResourceExhausted);
      for await (const status of serving.watch(service, context.signal)) yield { status };
    },
  });
  router.service(ReflectionV1, {
    serverReflectionInfo: (requests) => answerReflection(reflection, requests, ResponseV1),
  });
  router.service(ReflectionV1Alpha, {
    serverReflectionInfo: (requests) => answerReflection(reflection, requests, ResponseV1Alpha),
  });
}
