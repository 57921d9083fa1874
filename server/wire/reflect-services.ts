/**
 * Answers of gRPC server reflection, from the descriptors that the generated code
 * carries. Versions v1 and v1alpha differ in their package's name only.
 *
 * *Source*: grpc/doc/server-reflection.md.
 */
import {
  create,
  createRegistry,
  toBinary,
  type DescFile,
  type DescMessage,
  type DescService,
  type MessageInitShape,
  type MessageShape,
  type Registry,
} from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import type {
  ServerReflectionRequest,
  ServerReflectionResponseSchema,
} from "../../gen/grpc/reflection/v1/reflection_pb.js";
import type { ServerReflectionRequest as AlphaRequest } from "../../gen/grpc/reflection/v1alpha/reflection_pb.js";
import { STATUS } from "./status-codes.ts";

type Question = (ServerReflectionRequest | AlphaRequest)["messageRequest"];
type Answer = NonNullable<MessageInitShape<typeof ServerReflectionResponseSchema>["messageResponse"]>;

/** Knows the files of the services it is given, and every file that those need. */
export class ServiceReflection {
  readonly #services: readonly DescService[];
  readonly #files: ReadonlySet<DescFile>;
  readonly #registry: Registry;

  constructor(services: readonly DescService[]) {
    this.#services = services;
    this.#files = new Set(services.flatMap((service) => withImports(service.file)));
    this.#registry = createRegistry(...this.#files);
  }

  /** Answers one question. An unknown name is an answer too: the stream goes on. */
  answer(question: Question): Answer {
    switch (question.case) {
      case "listServices":
        return {
          case: "listServicesResponse",
          value: { service: this.#services.map(({ typeName }) => ({ name: typeName })) },
        };
      case "fileByFilename":
        return describe(this.#file(question.value), question.value);
      case "fileContainingSymbol":
        return describe(this.#fileOfSymbol(question.value), question.value);
      case "fileContainingExtension": {
        const { containingType, extensionNumber } = question.value;
        const extension = this.#extensionsOf(containingType).find(({ number }) => number === extensionNumber);
        return describe(extension?.file, `extension ${extensionNumber} of ${containingType}`);
      }
      case "allExtensionNumbersOfType": {
        const message = this.#registry.getMessage(question.value);
        if (message === undefined) return notFound(question.value);
        const extensionNumber = this.#extensionsOf(question.value).map(({ number }) => number);
        return {
          case: "allExtensionNumbersResponse",
          value: { baseTypeName: question.value, extensionNumber },
        };
      }
      case undefined:
        return {
          case: "errorResponse",
          value: { errorCode: STATUS.invalidArgument, errorMessage: "messageRequest: is required" },
        };
    }
  }

  #file(name: string): DescFile | undefined {
    return [...this.#files].find((file) => file.proto.name === name);
  }

  #fileOfSymbol(name: string): DescFile | undefined {
    const found = this.#registry.get(name);
    if (found !== undefined) return found.file;
    // A member of something: a method, a field, a value of an enum.
    const dot = name.lastIndexOf(".");
    const parent = dot === -1 ? undefined : this.#registry.get(name.slice(0, dot));
    return parent !== undefined && hasMember(parent, name.slice(dot + 1)) ? parent.file : undefined;
  }

  #extensionsOf(typeName: string) {
    return [...this.#registry].filter((type) => type.kind === "extension" && type.extendee.typeName === typeName) as {
      readonly number: number;
      readonly file: DescFile;
    }[];
  }
}

/** The same stream of answers for either version of the service. */
export async function* answerReflection<Response extends DescMessage>(
  reflection: ServiceReflection,
  requests: AsyncIterable<{ readonly host: string; readonly messageRequest: Question }>,
  schema: Response,
): AsyncGenerator<MessageShape<Response>> {
  for await (const request of requests) {
    const { host, messageRequest } = request;
    yield create(schema, {
      validHost: host,
      originalRequest: { host, messageRequest },
      messageResponse: reflection.answer(messageRequest),
    } as unknown as MessageInitShape<Response>);
  }
}

/** A file's own bytes, then those of every file that it needs, so that one question suffices. */
function describe(file: DescFile | undefined, name: string): Answer {
  if (file === undefined) return notFound(name);
  const fileDescriptorProto = withImports(file).map(({ proto }) => toBinary(FileDescriptorProtoSchema, proto));
  return { case: "fileDescriptorResponse", value: { fileDescriptorProto } };
}

function withImports(file: DescFile): readonly DescFile[] {
  const files = new Set<DescFile>();
  const visit = (visited: DescFile): void => {
    if (files.has(visited)) return;
    files.add(visited);
    for (const dependency of visited.dependencies) visit(dependency);
  };
  visit(file);
  return [...files];
}

function hasMember(parent: { readonly kind: string }, name: string): boolean {
  const members =
    "methods" in parent
      ? (parent as DescService).methods
      : "fields" in parent
        ? (parent as DescMessage).fields
        : "values" in parent
          ? (parent as { readonly values: readonly { readonly name: string }[] }).values
          : [];
  return members.some((member) => member.name === name);
}

function notFound(name: string): Answer {
  return { case: "errorResponse", value: { errorCode: STATUS.notFound, errorMessage: `not found: ${name}` } };
}
