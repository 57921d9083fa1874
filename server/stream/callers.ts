import type { Metadata } from "@grpc/grpc-js";
import { RefusedError } from "../domain/errors.ts";
import type { AgentConnection } from "./connection-gate.ts";
import type { HostIdentity } from "./ports.ts";

/** Who makes a call, and over which connection. */
export interface Caller {
  readonly connection: AgentConnection;
  /** `undefined` where anybody may call. */
  readonly identity: HostIdentity | undefined;
}

/** A caller whose credential was checked. */
export interface HostCaller extends Caller {
  readonly identity: HostIdentity;
}

/** The one sentence for every credential that does not count, whatever is wrong with it. */
export function credentialInvalid(): RefusedError {
  return new RefusedError("credential_invalid", "this credential is not valid; enroll the host again");
}

/** Remembers callers from authentication to handler. Keyed by an object of the call, so nothing a client sends can name one. */
export class Callers {
  readonly #byMetadata = new WeakMap<Metadata, Caller>();

  record(metadata: Metadata, caller: Caller): void {
    this.#byMetadata.set(metadata, caller);
  }

  /** *Throws* RefusedError when authentication did not see this call. */
  of(call: { readonly metadata: Metadata }): Caller {
    const caller = this.#byMetadata.get(call.metadata);
    if (caller === undefined) throw credentialInvalid();
    return caller;
  }

  /** *Throws* RefusedError unless a host's credential was checked for this call. */
  hostOf(call: { readonly metadata: Metadata }): HostCaller {
    const { connection, identity } = this.of(call);
    if (identity === undefined) throw credentialInvalid();
    return { connection, identity };
  }
}
