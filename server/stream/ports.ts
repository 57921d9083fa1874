/**
 * What the agent listener asks of the rest of the server. The listener knows
 * HTTP/2, TLS, sessions and queues; it knows no job and no database.
 */
import type { EnrollRequest, Hello, ServerMessage, UpdateProgress } from "../../gen/rollcall/v1/agent_pb.js";
import type { BlockLayout, Range } from "../domain/block-layout.ts";
import type { HostId, SessionEpoch } from "../domain/ids.ts";
import type { RefusalReason } from "../domain/refusal.ts";

/** Who a credential belongs to. */
export interface HostIdentity {
  readonly hostId: HostId;
  readonly generation: number;
}

/** Checks credentials before a message is read. */
export interface CredentialVerifier {
  /** Throws RefusedError (credential_invalid), with the same words for an unknown and a removed host. */
  verify(bearer: string): Promise<HostIdentity>;
}

/** Trades one-time tokens for credentials. */
export interface Enrollment {
  /** Throws RefusedError (token_invalid). */
  enroll(request: EnrollRequest): Promise<{ readonly hostId: HostId; readonly credential: string }>;
}

/** One agent's open stream, as the watcher sees it. */
export interface AgentSession {
  readonly hostId: HostId;
  readonly instanceId: string;
  /** Of the credential that its call showed. */
  readonly credentialGeneration: number;
  /** `<address>:<port>` of the agent. */
  readonly peer: string;
  /** Queues one message. A reader too slow to drain its queue loses its socket. False once the session ended. */
  send(message: ServerMessage | Buffer): boolean;
  /** Ends the stream with this error's status. */
  end(error: Error): void;
}

/** What became of a Hello. */
export interface OpenedSession {
  readonly epoch: SessionEpoch;
  /** Sent in this order, Welcome first. */
  readonly messages: readonly ServerMessage[];
  /** Called once they are queued and the session is its host's live one. What it throws ends the stream. */
  readonly afterMessages?: () => Promise<void>;
}

/** Turns what agents say into changes. Calls for one session never overlap and keep the stream's order. */
export interface SessionHandler {
  /** True for a host with an open job: where not everybody can be let in, it goes first. */
  hasOpenJob(hello: Hello, hostId: HostId): boolean;
  /** Throws RefusedError when the session may not open. */
  opened(hello: Hello, session: AgentSession, incumbent: AgentSession | undefined): Promise<OpenedSession>;
  progressed(progress: UpdateProgress, session: AgentSession, epoch: SessionEpoch): Promise<void>;
  closed(session: AgentSession, epoch: SessionEpoch): Promise<void>;
}

/** A release's program for one platform. */
export interface ArtifactFile extends BlockLayout {
  readonly artifactPath: string;
  /** Lower-case hex. */
  readonly sha256: string;
  /** sha256 of each block, 32 bytes each, in order. */
  readonly blockList: Uint8Array;
}

/** The files of one open job's release. */
export interface Delivery extends ArtifactFile {
  readonly manifest: Uint8Array;
  readonly signature: Uint8Array;
  /** The newest key set and its signature; empty where none is known. */
  readonly keys: Uint8Array;
  readonly keysSignature: Uint8Array;
  /** *Units*: bytes that were sent for the job and written down. */
  readonly bytesDelivered: number;
}

/** Finds what a host may fetch. */
export interface DeliverySource {
  /** Throws RefusedError (not_in_job) unless `jobId` is this host's open job. */
  find(hostId: HostId, jobId: string): Promise<Delivery>;
}

/** A FetchBlocksResponse in its wire form, and the part of it that is the block. */
export interface BlockMessage {
  readonly message: Buffer;
  readonly data: Buffer;
}

/** An artifact whose blocks can be read, compressed where that is worth it. */
export interface OpenBlocks extends AsyncDisposable {
  /**
   * The blocks of `ranges`, in order, some at a time. The memory of messages is used
   * again once the next ones are asked for.
   *
   * *Throws* RefusedError (release_invalid) when the artifact is damaged.
   */
  read(ranges: readonly Range[]): AsyncGenerator<readonly BlockMessage[], void, void>;
}

/** Opens artifacts. */
export interface BlockSource {
  /** *Throws* RefusedError (release_invalid) when the file is missing or damaged. */
  open(artifact: ArtifactFile): Promise<OpenBlocks>;
}

/** Where it is written down what deliveries cost. */
export interface DeliveryAccounts {
  /** Adds bytes that were sent for a job. */
  addDelivered(hostId: HostId, jobId: string, bytes: number): Promise<void>;
}

/** Where the listener tells of what it refuses, and of failures that nobody foresaw. Never given credentials. */
export interface StreamLog {
  refused(reason: RefusalReason): void;
  /** `where` names what was going on, such as `Connect` or `certificate renewal`. */
  unexpected(where: string, error: unknown): void;
}
