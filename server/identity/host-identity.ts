/** Lets hosts in: one-time tokens are traded for credentials, credentials name hosts. */
import { createHash } from "node:crypto";
import type { EnrollRequest } from "../../gen/rollcall/v1/agent_pb.js";
import type { Random } from "../domain/clock.ts";
import { RefusedError } from "../domain/errors.ts";
import type { HostId } from "../domain/ids.ts";
import type { CredentialVerifier, Enrollment, HostIdentity } from "../stream/ports.ts";
import { deriveCredential, readCredential } from "./host-credential.ts";
import type { IdentityStore } from "./ports.ts";

const TOKEN_PREFIX = "rc_enroll_";
const TOKEN_BYTES = 32;

/** An enrolment token that is shown this once. */
export interface CreatedToken {
  readonly id: string;
  readonly token: string;
  readonly expiresAt: Date;
}

/** A token that somebody asked for. */
export interface TokenRequest {
  readonly label: string;
  readonly maxUses: number;
  readonly validForMs: number;
  readonly createdBy: string;
}

export class HostIdentities implements CredentialVerifier, Enrollment {
  readonly #store: IdentityStore;
  readonly #key: Uint8Array;
  readonly #random: Random;
  readonly #hostEnrolled: (hostId: HostId) => void;

  constructor(store: IdentityStore, key: Uint8Array, random: Random, hostEnrolled: (hostId: HostId) => void) {
    this.#store = store;
    this.#key = key;
    this.#random = random;
    this.#hostEnrolled = hostEnrolled;
  }

  async verify(bearer: string): Promise<HostIdentity> {
    const claim = readCredential(this.#key, bearer);
    const lowest = claim && (await this.#store.findCredentialGeneration(claim.hostId));
    if (claim === undefined || lowest === undefined || claim.generation < lowest) {
      throw new RefusedError("credential_invalid", "The credential is not valid. Enrol this host again.");
    }
    return claim;
  }

  async enroll(request: EnrollRequest): Promise<{ readonly hostId: HostId; readonly credential: string }> {
    const hostId = this.#random.uuid() as HostId;
    await this.#store.transaction(async (tx) => {
      const tokenId = await tx.useEnrollmentToken(hashToken(request.token));
      if (tokenId === undefined) {
        throw new RefusedError("token_invalid", "The enrolment token is unknown, used up or expired. Make a new one.");
      }
      await tx.insertHost({ id: hostId, hostname: request.hostname, os: request.os, arch: request.arch });
      await tx.writeAuditEvent({
        actor: "host",
        action: "host.enrolled",
        hostId,
        cause: "an enrolment token was used",
        details: { hostname: request.hostname, token_id: tokenId },
      });
    });
    this.#hostEnrolled(hostId);
    return { hostId, credential: deriveCredential(this.#key, { hostId, generation: 1 }) };
  }

  /** Makes a token; only its hash is stored. */
  async createToken(request: TokenRequest): Promise<CreatedToken> {
    const token = TOKEN_PREFIX + Buffer.from(this.#random.bytes(TOKEN_BYTES)).toString("base64url");
    const id = this.#random.uuid();
    const expiresAt = await this.#store.transaction(async (tx) => {
      await tx.writeAuditEvent({
        actor: request.createdBy,
        action: "token.created",
        cause: "an enrolment token was asked for",
        details: { token_id: id, label: request.label, max_uses: request.maxUses },
      });
      return tx.insertEnrollmentToken({ id, tokenSha256: hashToken(token), ...request });
    });
    return { id, token, expiresAt };
  }
}

function hashToken(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
