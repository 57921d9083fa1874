/**
 * Decides who may make a call, from its headers alone: no message is read, and
 * no handler runs, before this is done. What an RPC asks for is its option
 * `minimum_role`; one without it is refused to all.
 */
import { getOption, hasOption, type DescService } from "@bufbuild/protobuf";
import { ServerInterceptingCall, type Metadata, type ServerInterceptor } from "@grpc/grpc-js";
import { minimum_role, Role } from "../../gen/rollcall/v1/options_pb.js";
import type { Clock } from "../domain/clock.ts";
import { RefusedError } from "../domain/errors.ts";
import { type Caller, type Callers, credentialInvalid } from "./callers.ts";
import type { AgentConnection, ConnectionGate } from "./connection-gate.ts";
import { toGrpcStatus } from "./grpc-status.ts";
import type { CredentialVerifier, StreamLog } from "./ports.ts";
import { StreamEndedError } from "./stream-ended-error.ts";

export interface AuthenticationOptions {
  readonly services: readonly DescService[];
  readonly credentials: CredentialVerifier;
  readonly callers: Callers;
  readonly gate: ConnectionGate;
  readonly clock: Clock;
  readonly log: StreamLog;
  readonly refusalDelayMs: number;
}

const BEARER = /^Bearer ([\x21-\x7e]{1,512})$/;

/** Checks every call of `services` before its handler sees it. */
export function authenticateCalls(options: AuthenticationOptions): ServerInterceptor {
  const roles = requiredRoles(options.services);
  return (method, call) => {
    const { remoteAddress, remotePort } = call.getConnectionInfo();
    const connection = options.gate.find(`${remoteAddress}:${remotePort}`);
    return new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, proceed) => {
            identify(roles.get(method.path), metadata, connection, options)
              .then((caller) => {
                options.callers.record(metadata, caller);
                proceed(metadata);
              })
              .catch((error: unknown) => call.sendStatus(toGrpcStatus(error, method.path, options.log)));
          },
        }),
    });
  };
}

/** The role each method asks for, by path. *Shape*: no entry for a method that names none. */
export function requiredRoles(services: readonly DescService[]): ReadonlyMap<string, Role> {
  const methods = services.flatMap((service) => service.methods);
  const declared = methods.filter((method) => hasOption(method, minimum_role));
  return new Map(
    declared.map((method) => [`/${method.parent.typeName}/${method.name}`, getOption(method, minimum_role)]),
  );
}

async function identify(
  role: Role | undefined,
  metadata: Metadata,
  connection: AgentConnection | undefined,
  options: AuthenticationOptions,
): Promise<Caller> {
  if (connection === undefined) throw new StreamEndedError("unavailable", "the connection is closed");
  if (role === Role.ANYONE) return { connection, identity: undefined };
  if (role !== Role.HOST) throw new StreamEndedError("permissionDenied", "agents may not call this method");
  const startedAtMs = options.clock.monotonicMs();
  try {
    const identity = await options.credentials.verify(bearerOf(metadata));
    connection.trust(identity.hostId);
    return { connection, identity };
  } catch (error) {
    if (!isCredentialInvalid(error)) throw error;
    // Neither words nor timing tell an unknown credential from a revoked one.
    await delay(options.clock, startedAtMs + options.refusalDelayMs - options.clock.monotonicMs());
    throw credentialInvalid();
  }
}

function bearerOf(metadata: Metadata): string {
  const values = metadata.get("authorization");
  const [value] = values;
  const bearer = values.length === 1 && typeof value === "string" ? BEARER.exec(value)?.[1] : undefined;
  if (bearer === undefined) throw credentialInvalid();
  return bearer;
}

function isCredentialInvalid(error: unknown): boolean {
  return error instanceof RefusedError && error.reason === "credential_invalid";
}

function delay(clock: Clock, delayMs: number): Promise<void> {
  return delayMs <= 0 ? Promise.resolve() : new Promise((resolve) => void clock.schedule(delayMs, resolve));
}
