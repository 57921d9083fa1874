/**
 * The one bridge between generated protobuf-es services and @grpc/grpc-js, used
 * by the server's agent listener and by the agent. Messages stay protobuf-es
 * messages on both sides.
 */
import {
  fromBinary,
  toBinary,
  type DescMessage,
  type DescMethod,
  type DescService,
  type MessageShape,
} from "@bufbuild/protobuf";
import type { MethodDefinition, ServiceDefinition } from "@grpc/grpc-js";

/** A method whose request is `I` and whose response is `O`, as descriptors. */
export type MethodOf<I extends DescMessage, O extends DescMessage> = DescMethod & { input: I; output: O };

/** Everything grpc-js needs to call or serve one method. */
export type GrpcMethod<I extends DescMessage, O extends DescMessage> = MethodDefinition<
  MessageShape<I> | Buffer,
  MessageShape<O>
> & { responseSerialize: (message: MessageShape<O> | Buffer) => Buffer };

/**
 * Encodes a message once, so that the same bytes can be written to many streams.
 *
 * *Shape*: a Buffer over the encoder's own bytes; serializers pass it on as it is.
 */
export function encodeMessage<D extends DescMessage>(schema: D, message: MessageShape<D>): Buffer {
  const bytes = toBinary(schema, message);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function serializer<D extends DescMessage>(schema: D): (message: MessageShape<D> | Buffer) => Buffer {
  return (message) => (Buffer.isBuffer(message) ? message : encodeMessage(schema, message));
}

function deserializer<D extends DescMessage>(schema: D): (bytes: Buffer) => MessageShape<D> {
  return (bytes) => fromBinary(schema, bytes);
}

/** The grpc-js definition of one generated method. */
export function grpcMethod<I extends DescMessage, O extends DescMessage>(method: MethodOf<I, O>): GrpcMethod<I, O> {
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    requestStream: method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming",
    responseStream: method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming",
    requestSerialize: serializer(method.input),
    requestDeserialize: deserializer(method.input),
    responseSerialize: serializer(method.output),
    responseDeserialize: deserializer(method.output),
  };
}

/**
 * The grpc-js definition of a generated service.
 *
 * *Shape*: keyed by the method's local (lower camel case) name.
 */
export function grpcService(service: DescService): ServiceDefinition {
  return Object.fromEntries(service.methods.map((method) => [method.localName, grpcMethod(method)]));
}
