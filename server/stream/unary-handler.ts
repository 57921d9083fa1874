import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import type { handleUnaryCall } from "@grpc/grpc-js";
import type { Caller, Callers } from "./callers.ts";
import { checkMessage } from "./check-message.ts";
import { toGrpcStatus } from "./grpc-status.ts";
import type { OpenTasks } from "./open-tasks.ts";
import type { StreamLog } from "./ports.ts";

export interface UnaryOptions {
  readonly callers: Callers;
  readonly tasks: OpenTasks;
  readonly log: StreamLog;
}

/** Serves a unary method: checks the request against its rules, then answers it or tells of the failure. */
export function unaryHandler<I extends DescMessage, O>(
  schema: I,
  options: UnaryOptions,
  answer: (request: MessageShape<I>, caller: Caller) => Promise<O>,
): handleUnaryCall<MessageShape<I>, O> {
  return (call, callback) => {
    const serve = async (): Promise<void> => {
      try {
        const caller = options.callers.of(call);
        checkMessage(schema, call.request);
        callback(null, await answer(call.request, caller));
      } catch (error) {
        callback(toGrpcStatus(error, call.getPath(), options.log));
      }
    };
    options.tasks.add(serve());
  };
}
