/** A listener on port 0 with fakes behind its ports, and agents that connect to it. */
import { randomBytes, randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { expect } from "vitest";
import {
  ServerMessageSchema,
  type EnrollRequest,
  type Hello,
  type UpdateProgress,
} from "../../../gen/rollcall/v1/agent_pb.js";
import { BlockStore } from "../../../server/delivery/block-store.ts";
import { RefusedError } from "../../../server/domain/errors.ts";
import type { HostId, SessionEpoch } from "../../../server/domain/ids.ts";
import type { RefusalReason } from "../../../server/domain/refusal.ts";
import {
  createAuthority,
  createKeyPem,
  issueLeaf,
  type CertificatePair,
} from "../../../server/stream/certificate-authority.ts";
import { DeliveryTurns, type DeliveryLimits } from "../../../server/stream/delivery-turns.ts";
import type { ListenerLimits } from "../../../server/stream/limits.ts";
import { listenForAgents, type AgentListener } from "../../../server/stream/listener.ts";
import type {
  AgentSession,
  CredentialVerifier,
  Delivery,
  DeliveryAccounts,
  DeliverySource,
  Enrollment,
  OpenedSession,
  SessionHandler,
  StreamLog,
} from "../../../server/stream/ports.ts";
import { ScriptedAgent, type ScriptedAgentOptions } from "../../support/scripted-agent.ts";
import { ManualClock } from "./manual-clock.ts";

export const HOST = "00000000-0000-4000-8000-00000000000a" as HostId;
export const OTHER_HOST = "00000000-0000-4000-8000-00000000000b" as HostId;
export const JOB = "00000000-0000-4000-8000-0000000000f1";

const clockAtStart = new ManualClock();
const random = { bytes: (length: number): Uint8Array => randomBytes(length) };
export const authority: CertificatePair = createAuthority(createKeyPem(), clockAtStart.now(), random);

/** A leaf of the tests' own authority. */
export function leaf(names: readonly string[] = ["localhost", "127.0.0.1"]): CertificatePair {
  return issueLeaf(authority, names, clockAtStart.now(), random);
}

/** Accepts `secret-<host id>`. */
export class FakeCredentials implements CredentialVerifier {
  readonly seen: string[] = [];
  readonly hosts = new Set<HostId>([HOST, OTHER_HOST]);

  async verify(bearer: string): Promise<{ readonly hostId: HostId; readonly generation: number }> {
    this.seen.push(bearer);
    const hostId = [...this.hosts].find((id) => bearer === credentialOf(id));
    if (hostId !== undefined) return { hostId, generation: 1 };
    throw new RefusedError(
      "credential_invalid",
      bearer.startsWith("revoked") ? "this host was removed" : "no such credential",
    );
  }
}

export function credentialOf(hostId: HostId): string {
  return `secret-${hostId}`;
}

/** Takes the token `good`. */
export class FakeEnrollment implements Enrollment {
  readonly requests: EnrollRequest[] = [];

  async enroll(request: EnrollRequest): Promise<{ readonly hostId: HostId; readonly credential: string }> {
    this.requests.push(request);
    if (request.token !== "good") throw new RefusedError("token_invalid", "this token was used or is expired");
    return { hostId: HOST, credential: credentialOf(HOST) };
  }
}

export interface OpenedCall {
  readonly hello: Hello;
  readonly session: AgentSession;
  readonly incumbent: AgentSession | undefined;
}

/** Records what it is told. Tests replace `onOpened` and `onProgressed` to wait or fail. */
export class FakeSessions implements SessionHandler {
  readonly openings: OpenedCall[] = [];
  readonly progress: UpdateProgress[] = [];
  readonly closings: { readonly session: AgentSession; readonly epoch: SessionEpoch }[] = [];
  /** Largest number of calls for one session at one time. */
  greatestOverlap = 0;
  /** Hosts with an open job. */
  readonly busyHosts = new Set<HostId>();
  onOpened: (call: OpenedCall) => Promise<void> = async () => {};
  onProgressed: (progress: UpdateProgress) => Promise<void> = async () => {};
  readonly #running = new Map<AgentSession, number>();
  #epoch = 0n;
  #waiting: (() => void)[] = [];

  hasOpenJob(_hello: Hello, hostId: HostId): boolean {
    return this.busyHosts.has(hostId);
  }

  async opened(hello: Hello, session: AgentSession, incumbent: AgentSession | undefined): Promise<OpenedSession> {
    return await this.#track(session, async () => {
      const epoch = ++this.#epoch as SessionEpoch;
      const call = { hello, session, incumbent };
      this.openings.push(call);
      this.#notify();
      await this.onOpened(call);
      const welcome = create(ServerMessageSchema, {
        message: { case: "welcome", value: { serverVersion: "1.0.0", sessionEpoch: epoch } },
      });
      return { epoch, messages: [welcome] };
    });
  }

  async progressed(progress: UpdateProgress, session: AgentSession): Promise<void> {
    await this.#track(session, async () => {
      await this.onProgressed(progress);
      this.progress.push(progress);
      this.#notify();
    });
  }

  async closed(session: AgentSession, epoch: SessionEpoch): Promise<void> {
    await this.#track(session, async () => {
      this.closings.push({ session, epoch });
      this.#notify();
    });
  }

  /** Resolves once `isTrue`, which is asked again after each call. */
  async until(isTrue: () => boolean): Promise<void> {
    while (!isTrue()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #notify(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  async #track<T>(session: AgentSession, work: () => Promise<T>): Promise<T> {
    const running = (this.#running.get(session) ?? 0) + 1;
    this.#running.set(session, running);
    this.greatestOverlap = Math.max(this.greatestOverlap, running);
    try {
      return await work();
    } finally {
      this.#running.set(session, running - 1);
    }
  }
}

/** A host of many, and its job. */
export function numberedHost(number: number): { readonly hostId: HostId; readonly jobId: string } {
  const digits = number.toString(16).padStart(12, "0");
  return { hostId: `00000000-0000-4000-9000-${digits}` as HostId, jobId: `00000000-0000-4000-a000-${digits}` };
}

/** Adds up what was delivered. While `error` is set it cannot. */
export class FakeAccounts implements DeliveryAccounts {
  readonly delivered = new Map<string, number>();
  calls = 0;
  error: Error | undefined;

  async addDelivered(_hostId: HostId, jobId: string, bytes: number): Promise<void> {
    this.calls += 1;
    if (this.error !== undefined) throw this.error;
    this.delivered.set(jobId, (this.delivered.get(jobId) ?? 0) + bytes);
  }
}

/** Has what a test puts in, for the one job. */
export class FakeDeliveries implements DeliverySource {
  delivery: Delivery | undefined;
  /** Whose job it is. */
  readonly hosts = new Set<HostId>([HOST]);
  /** Hosts with a job of their own. */
  readonly jobs = new Map<HostId, string>();

  async find(hostId: HostId, jobId: string): Promise<Delivery> {
    const isOpen = this.jobs.get(hostId) === jobId || (this.hosts.has(hostId) && jobId === JOB);
    if (!isOpen || this.delivery === undefined) throw new RefusedError("not_in_job", "this is not the host's open job");
    return this.delivery;
  }
}

export class FakeLog implements StreamLog {
  readonly entries: { readonly where: string; readonly error: unknown }[] = [];
  readonly refusals: RefusalReason[] = [];

  refused(reason: RefusalReason): void {
    this.refusals.push(reason);
  }

  unexpected(where: string, error: unknown): void {
    this.entries.push({ where, error });
  }
}

/** Everything a test of the listener touches. */
export interface TestListener extends AsyncDisposable {
  readonly listener: AgentListener;
  readonly address: string;
  readonly clock: ManualClock;
  readonly credentials: FakeCredentials;
  readonly enrollment: FakeEnrollment;
  readonly sessions: FakeSessions;
  readonly deliveries: FakeDeliveries;
  readonly accounts: FakeAccounts;
  readonly turns: DeliveryTurns;
  /** Where caches of compressed blocks stand. */
  readonly cacheFolder: string;
  readonly log: FakeLog;
  agent(hostId?: HostId, options?: Partial<ScriptedAgentOptions>): ScriptedAgent;
}

export async function startListener(
  limits: Partial<ListenerLimits> = {},
  deliveryLimits: Partial<DeliveryLimits> = {},
): Promise<TestListener> {
  const clock = new ManualClock();
  const cacheFolder = join(tmpdir(), `rollcall-block-cache-${randomUUID()}`);
  const blocks = new BlockStore({ folder: cacheFolder, log: () => undefined });
  const parts = {
    clock,
    turns: new DeliveryTurns({ maxConcurrent: 64, bytesPerSecond: 0, ...deliveryLimits }, clock),
    accounts: new FakeAccounts(),
    credentials: new FakeCredentials(),
    enrollment: new FakeEnrollment(),
    deliveries: new FakeDeliveries(),
    log: new FakeLog(),
  };
  const sessions = new FakeSessions();
  const listener = await listenForAgents({
    ...parts,
    blocks,
    handler: sessions,
    random,
    host: "127.0.0.1",
    port: 0,
    certificate: leaf(),
    limits: { refusalDelayMs: 0, ...limits },
  });
  const address = `127.0.0.1:${listener.address.port}`;
  return {
    ...parts,
    sessions,
    listener,
    address,
    cacheFolder,
    agent: (hostId = HOST, options = {}) =>
      new ScriptedAgent({ address, caPem: authority.certPem, credential: credentialOf(hostId), ...options }),
    [Symbol.asyncDispose]: async () => {
      await listener[Symbol.asyncDispose]();
      await blocks[Symbol.asyncDispose]();
      await rm(cacheFolder, { recursive: true, force: true });
    },
  };
}

/** Ends the listener and checks that nothing of it is left. */
export async function expectClean(server: TestListener): Promise<void> {
  await server.listener[Symbol.asyncDispose]();
  expect(server.listener.sessions.size).toBe(0);
  expect(server.listener.counts).toMatchObject({ connections: 0, unauthenticated: 0, calls: 0, transfers: 0 });
  expect(server.clock.size).toBe(0);
  expect(server.sessions.greatestOverlap).toBeLessThanOrEqual(1);
}

/** Resolves once `isTrue`. For states that no event tells of: it looks again each turn of the event loop. */
export async function eventually(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise<void>((resolve) => setImmediate(resolve));
}
