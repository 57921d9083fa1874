/** Lets hosts in: one-time tokens are traded for credentials, credentials name hosts. */
import { createHash } from "node:crypto";
import { formatLabels } from "../../gen/labels.ts";
import type { EnrollRequest } from "../../gen/rollcall/v1/agent_pb.js";
import type { Random } from "../domain/clock.ts";
import { InvalidFieldError, RefusedError } from "../domain/errors.ts";
import type { EnrollmentToken } from "../domain/enrollment-token.ts";
import type { HostId } from "../domain/ids.ts";
import { editLabels, MOST_LABELS, type Labels } from "../domain/labels.ts";
import { fromWireLabels } from "../wire/wire-labels.ts";
import type { CredentialVerifier, Enrollment, HostIdentity } from "../stream/ports.ts";
import { deriveCredential, readCredential } from "./host-credential.ts";
import { KnownGenerations } from "./known-generations.ts";
import type { IdentityStore, IdentityTransaction, VoidedSession } from "./ports.ts";

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
  /** Of hosts that enrol with it. */
  readonly labels: Labels;
  /** The host whose place a machine takes; null for a new host. */
  readonly replacesHostId: HostId | null;
}

/** Told what changed, after it was stored. */
export interface IdentityChanges {
  hostChanged(hostId: HostId): void;
  /** A newer generation of this host's credential is in use. */
  generationAccepted(hostId: HostId): void;
  /** Another machine took this host's place: what the one before has open ends, such as this session. */
  machineReplaced(hostId: HostId, session: VoidedSession | undefined): void;
}

export class HostIdentities implements CredentialVerifier, Enrollment {
  readonly #store: IdentityStore;
  readonly #key: Uint8Array;
  readonly #random: Random;
  readonly #changes: IdentityChanges;
  readonly #endJob: EndJob;
  /** Who changes or hears of a credential's generation forgets it here. */
  readonly generations: KnownGenerations;

  constructor(store: IdentityStore, key: Uint8Array, random: Random, changes: IdentityChanges, endJob: EndJob) {
    this.#store = store;
    this.#key = key;
    this.#random = random;
    this.#changes = changes;
    this.#endJob = endJob;
    this.generations = new KnownGenerations((hostId) => store.findCredentialGeneration(hostId));
  }

  async verify(bearer: string): Promise<HostIdentity> {
    const claim = readCredential(this.#key, bearer);
    const lowest = claim && (await this.generations.find(claim.hostId));
    if (claim === undefined) throw refused();
    if (lowest === undefined) {
      await this.#takeBack(claim);
      return claim;
    }
    if (claim.generation < lowest) await this.#refuseOldGeneration(claim);
    // Also one that a database restored from a backup does not know yet: its HMAC is ours.
    if (claim.generation > lowest) await this.#acceptGeneration(claim);
    return claim;
  }

  /** The HMAC is ours: who enrolled after the backup that was restored is no stranger. */
  async #takeBack({ hostId, generation }: HostIdentity): Promise<void> {
    await this.#store.transaction(async (tx) => {
      if (!(await tx.insertForgottenHost(hostId, generation))) throw refused();
      await tx.writeAuditEvent({
        actor: "host",
        action: "host.recovered",
        hostId,
        cause: "it enrolled after the backup that was restored",
      });
    });
    this.#changes.hostChanged(hostId);
  }

  async #acceptGeneration({ hostId, generation }: HostIdentity): Promise<void> {
    await this.#store.acceptGeneration(hostId, generation);
    this.generations.forget([hostId]);
    this.#changes.generationAccepted(hostId);
  }

  /** The credential that follows one of this generation. Valid from its first use on, and the last one until then. */
  nextCredential(hostId: HostId, generation: number): string {
    return deriveCredential(this.#key, { hostId, generation: generation + 1 });
  }

  /**
   * Whoever holds the older one copied it before it was rotated, or holds the copy of a disk; unless it is the machine
   * that was there before another took its place: of those two it is known which one counts.
   */
  async #refuseOldGeneration({ hostId, generation }: HostIdentity): Promise<never> {
    await this.#store.transaction(async (tx) => {
      if (await tx.isOfReplaced(hostId, generation)) return;
      await tx.markIdentityDuplicated(hostId);
      await tx.raiseAlert({ kind: "duplicate_identity", hostId, reason: "an older credential was used" });
    });
    this.#changes.hostChanged(hostId);
    throw refused();
  }

  async enroll(request: EnrollRequest): Promise<{ readonly hostId: HostId; readonly credential: string }> {
    const own = fromWireLabels(request.labels, "labels");
    const enrolled = await this.#store.transaction(async (tx): Promise<Enrolled> => {
      const token = await tx.useEnrollmentToken(hashToken(request.token));
      if (token === undefined) {
        throw new RefusedError("token_invalid", "The enrolment token is unknown, used up or expired. Make a new one.");
      }
      if (token.replacesHostId !== null) return this.#replace(tx, request, own, token, token.replacesHostId);
      const hostId = this.#random.uuid() as HostId;
      const labels = joinLabels(own, token.labels);
      await tx.insertHost({ id: hostId, hostname: request.hostname, os: request.os, arch: request.arch });
      if (labels.length > 0) await tx.replaceLabels(hostId, labels);
      await tx.writeAuditEvent({
        actor: "host",
        action: "host.enrolled",
        hostId,
        cause: "an enrolment token was used",
        details: {
          hostname: request.hostname,
          token_id: token.id,
          ...(labels.length === 0 ? {} : { labels: formatLabels(labels) }),
        },
      });
      return { hostId, generation: 1, settle: async () => undefined };
    });
    const { hostId, generation } = enrolled;
    await enrolled.settle();
    this.#changes.hostChanged(hostId);
    return { hostId, credential: deriveCredential(this.#key, { hostId, generation }) };
  }

  /** The machine that enrols takes the place of another. *Throws* RefusedError when there is no such host any more. */
  async #replace(
    tx: IdentityTransaction,
    request: EnrollRequest,
    own: Labels,
    token: EnrollmentToken,
    hostId: HostId,
  ): Promise<Enrolled> {
    const { hostname, os, arch } = request;
    const replaced = await tx.replaceHost({ hostId, hostname, os, arch });
    const known = replaced && (await tx.lockDescription(hostId));
    if (replaced === undefined || known === undefined) throw noHostToReplace(hostId);
    const labels = joinLabels(joinLabels(known.labels, own), token.labels);
    if (formatLabels(labels) !== formatLabels(known.labels)) await tx.replaceLabels(hostId, labels);
    await tx.resolveAlerts(hostId, ["duplicate_identity"]);
    const settleJob = await this.#endJob(tx, hostId);
    await tx.writeAuditEvent({
      actor: "host",
      action: "host.replaced",
      hostId,
      cause: "an enrolment token that replaces the host's machine was used",
      details: { hostname, token_id: token.id },
    });
    return {
      hostId,
      generation: replaced.generation,
      settle: async () => {
        this.generations.forget([hostId]);
        this.#changes.generationAccepted(hostId);
        this.#changes.machineReplaced(hostId, replaced.session);
        await settleJob();
      },
    };
  }

  /** Whether this is a token that a host could enrol with now, which is not used up, or a host's credential. */
  async mayInstall(bearer: string): Promise<boolean> {
    if (bearer.startsWith(TOKEN_PREFIX)) return await this.#store.isUsableToken(hashToken(bearer));
    return await this.verify(bearer).then(
      () => true,
      (error: unknown) => {
        if (error instanceof RefusedError) return false;
        throw error;
      },
    );
  }

  /**
   * Makes a token; only its hash is stored.
   *
   * *Throws* RefusedError (host_unknown) and InvalidFieldError for one that replaces a host and is not for one use.
   */
  async createToken(request: TokenRequest): Promise<CreatedToken> {
    const { replacesHostId } = request;
    if (replacesHostId !== null && request.maxUses !== 1)
      throw new InvalidFieldError("maxUses", "must be 1 for a token that replaces a host");
    const token = TOKEN_PREFIX + Buffer.from(this.#random.bytes(TOKEN_BYTES)).toString("base64url");
    const id = this.#random.uuid();
    const expiresAt = await this.#store.transaction(async (tx) => {
      if (replacesHostId !== null && (await tx.lockDescription(replacesHostId)) === undefined)
        throw noHostToReplace(replacesHostId);
      await tx.writeAuditEvent({
        actor: request.createdBy,
        action: "token.created",
        ...(replacesHostId === null ? {} : { hostId: replacesHostId }),
        cause: "an enrolment token was asked for",
        details: {
          token_id: id,
          label: request.label,
          max_uses: request.maxUses,
          ...(request.labels.length === 0 ? {} : { labels: formatLabels(request.labels) }),
        },
      });
      return tx.insertEnrollmentToken({ id, tokenSha256: hashToken(token), ...request });
    });
    return { id, token, expiresAt };
  }

  /** Revokes a token; hosts that used it stay. *Throws* RefusedError (token_unknown). */
  async revokeToken(id: string, actor: string): Promise<EnrollmentToken> {
    return this.#store.transaction(async (tx) => {
      const token = await tx.revokeEnrollmentToken(id);
      if (token === undefined)
        throw new RefusedError("token_unknown", `There is no enrolment token ${id}.`, { token_id: id });
      await tx.writeAuditEvent({
        actor,
        action: "token.revoked",
        cause: "an enrolment token was revoked",
        details: { token_id: id, label: token.label },
      });
      return token;
    });
  }
}

/** What was written about a host that enrolled, and what is left to do once that is committed. */
interface Enrolled {
  readonly hostId: HostId;
  /** Of its credential. */
  readonly generation: number;
  readonly settle: () => Promise<void>;
}

/** Ends the open job of a host whose machine is replaced. What it returns is called once that is committed. */
export type EndJob = (tx: IdentityTransaction, hostId: HostId) => Promise<() => Promise<void>>;

function noHostToReplace(hostId: HostId): RefusedError {
  return new RefusedError("host_unknown", `There is no host ${hostId} to replace, or it was removed.`, {
    host_id: hostId,
  });
}

/** What whoever made the token says goes before what the machine says. */
function joinLabels(own: Labels, given: Labels): Labels {
  const labels = editLabels(own, { set: given, remove: [] });
  if (labels.length <= MOST_LABELS) return labels;
  throw new InvalidFieldError(
    "labels",
    `with the token's are ${labels.length} labels, and ${MOST_LABELS} are the most`,
  );
}

/** The same words for an unknown, a removed and an outdated one. */
function refused(): RefusedError {
  return new RefusedError("credential_invalid", "The credential is not valid. Enrol this host again.");
}

function hashToken(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
