/**
 * The port that agents connect to: TLS, HTTP/2 and AgentService.
 *
 * The TCP server is our own and hands its sockets to grpc-js, for a long backlog
 * (a fleet that reconnects at once overflows the default one), for limits before
 * TLS, and to reach the socket of a reader that stalls.
 *
 * Shutdown: no new connections, GOAWAY on the open ones, every stream is told to
 * come back elsewhere; after the grace period what is left is cut off. channelz
 * stays on: without it grpc-js forgets its sessions and can't end them.
 */
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import type { DescService } from "@bufbuild/protobuf";
import { Server } from "@grpc/grpc-js";
import { AgentService } from "../../gen/rollcall/v1/agent_pb.js";
import type { Clock, Random } from "../domain/clock.ts";
import { RefusedError } from "../domain/errors.ts";
import type { HostId, SessionEpoch } from "../domain/ids.ts";
import { ServiceReflection } from "../wire/reflect-services.ts";
import { ServingStatus } from "../wire/serving-status.ts";
import { STANDARD_SERVICES } from "../wire/standard-services.ts";
import { agentServiceDefinition } from "./agent-messages.ts";
import type { AgentStream } from "./agent-stream.ts";
import { authenticateCalls } from "./authenticate.ts";
import { Callers } from "./callers.ts";
import type { CertificatePair } from "./certificate-authority.ts";
import { connectHandler } from "./connect-handler.ts";
import { ConnectionGate } from "./connection-gate.ts";
import { DeliveryBudget } from "./delivery-budget.ts";
import type { DeliveryTurns } from "./delivery-turns.ts";
import { enrollHandler } from "./enroll-handler.ts";
import { fetchBlocksHandler } from "./fetch-blocks-handler.ts";
import { fetchManifestHandler } from "./fetch-manifest-handler.ts";
import { toGrpcStatus } from "./grpc-status.ts";
import { chooseDelayMs, HelloAdmission } from "./hello-admission.ts";
import { DEFAULT_LIMITS, type ListenerLimits } from "./limits.ts";
import { ListenerCredentials } from "./listener-credentials.ts";
import { OpenTasks } from "./open-tasks.ts";
import type {
  BlockSource,
  CredentialVerifier,
  DeliveryAccounts,
  DeliverySource,
  Enrollment,
  SessionHandler,
  StreamLog,
} from "./ports.ts";
import { SessionRegistry, type LiveSessions } from "./session-registry.ts";
import { addStandardServices } from "./standard-handlers.ts";
import { Transfers } from "./transfers.ts";

export interface ListenOptions {
  readonly host: string;
  /** 0 for any free one. */
  readonly port: number;
  readonly certificate: CertificatePair;
  readonly credentials: CredentialVerifier;
  readonly enrollment: Enrollment;
  readonly handler: SessionHandler;
  readonly deliveries: DeliverySource;
  readonly blocks: BlockSource;
  readonly turns: DeliveryTurns;
  readonly accounts: DeliveryAccounts;
  readonly clock: Clock;
  readonly random: Pick<Random, "bytes">;
  readonly log: StreamLog;
  readonly limits?: Partial<ListenerLimits>;
}

/** Numbers for metrics and leak checks. */
export interface ListenerCounts {
  readonly connections: number;
  readonly unauthenticated: number;
  readonly refusedConnections: number;
  /** Calls being served, sessions that are being closed included. */
  readonly calls: number;
  readonly transfers: number;
}

export interface AgentListener extends AsyncDisposable {
  readonly address: { readonly host: string; readonly port: number };
  readonly sessions: LiveSessions;
  readonly counts: ListenerCounts;
  /** New connections are served this certificate. */
  renewCertificate(pair: CertificatePair): void;
  /** Ends whatever this host has open here, such as after its removal. */
  disconnect(hostId: HostId, reason: Error): void;
  /** Ends this host's session if it is this one or an older one: another server has a newer. */
  endUpTo(hostId: HostId, epoch: SessionEpoch): void;
  /** Ends every stream, asking its agent to come back spread over a while. */
  sendAway(): void;
  /** Shuts down. Resolves when nothing is open and every session is closed, or at the end of the grace period. */
  drain(options: { readonly graceMs: number }): Promise<void>;
}

/** Everything that the agent listener serves. */
export const AGENT_SERVICES: readonly DescService[] = [AgentService, ...STANDARD_SERVICES];

const BACKLOG = 8_192;

/** Listens. *Throws* Error when the address can't be bound. */
export async function listenForAgents(options: ListenOptions): Promise<AgentListener> {
  const limits: ListenerLimits = { ...DEFAULT_LIMITS, ...options.limits };
  const { clock, log } = options;
  const gate = new ConnectionGate(limits, clock);
  const callers = new Callers();
  const registry = new SessionRegistry();
  const streams = new Set<AgentStream>();
  const tasks = new OpenTasks();
  const transfers = new Transfers();
  const unary = { callers, tasks, log };
  const serving = new ServingStatus(AGENT_SERVICES);

  const grpc = new Server({
    interceptors: [
      authenticateCalls({
        services: AGENT_SERVICES,
        credentials: options.credentials,
        callers,
        gate,
        clock,
        log,
        refusalDelayMs: limits.refusalDelayMs,
      }),
    ],
    "grpc.max_receive_message_length": limits.messageBytes,
    "grpc.keepalive_time_ms": limits.keepaliveTimeMs,
    "grpc.keepalive_timeout_ms": limits.keepaliveTimeoutMs,
    "grpc.max_connection_idle_ms": limits.idleTimeoutMs,
  });
  grpc.addService(agentServiceDefinition(), {
    enroll: enrollHandler(options.enrollment, unary),
    connect: connectHandler({
      handler: options.handler,
      registry,
      admission: new HelloAdmission(limits, options.random),
      streams,
      callers,
      tasks,
      clock,
      log,
      limits,
    }),
    fetchManifest: fetchManifestHandler(options.deliveries, unary),
    fetchBlocks: fetchBlocksHandler({
      ...unary,
      deliveries: options.deliveries,
      blocks: options.blocks,
      turns: options.turns,
      accounts: options.accounts,
      budget: new DeliveryBudget(),
      transfers,
      clock,
      limits,
    }),
  });
  addStandardServices(grpc, { ...unary, serving, reflection: new ServiceReflection(AGENT_SERVICES) });
  const tls = new ListenerCredentials(options.certificate, limits);
  const injector = grpc.createConnectionInjector(tls);
  const tcp = createServer({ noDelay: true }, (socket) => {
    if (gate.admit(socket)) injector.injectConnection(socket);
  });
  tcp.listen({ host: options.host, port: options.port, backlog: BACKLOG });
  await once(tcp, "listening");
  const bound = tcp.address() as AddressInfo;

  const sendAway = (sentence: string): void => {
    for (const stream of streams) {
      const retryAfterMs = chooseDelayMs(limits.returnSpreadMs, options.random);
      stream.fail(toGrpcStatus(new RefusedError("draining", sentence, {}, retryAfterMs), "drain", log));
    }
  };

  const shutDown = async (graceMs: number): Promise<void> => {
    const tcpClosed = once(tcp, "close");
    tcp.close();
    // Its callback comes before the last bytes have left, so the sockets are waited for instead.
    grpc.tryShutdown(() => {});
    serving.stop();
    sendAway("this server is shutting down");
    await untilOr(Promise.all([gate.emptied(), tasks.settled()]), graceMs, clock);
    grpc.forceShutdown();
    gate.destroyAll();
    await Promise.all([gate.emptied(), tcpClosed]);
    await untilOr(tasks.settled(), graceMs, clock);
  };
  let shutDownOnce: Promise<void> | undefined;

  return {
    address: { host: bound.address, port: bound.port },
    sessions: registry,
    get counts() {
      return {
        connections: gate.size,
        unauthenticated: gate.strangers,
        refusedConnections: gate.refused,
        calls: tasks.size,
        transfers: transfers.size,
      };
    },
    renewCertificate: (pair) => tls.renew(pair),
    disconnect: (hostId, reason) => {
      registry.get(hostId)?.end(reason);
      transfers.abort(hostId, reason);
    },
    endUpTo: (hostId, epoch) => registry.endUpTo(hostId, epoch),
    sendAway: () => sendAway("this server was away from the others for too long"),
    drain: ({ graceMs }) => (shutDownOnce ??= shutDown(graceMs)),
    [Symbol.asyncDispose]: () => (shutDownOnce ??= shutDown(0)),
  };
}

/** Waits for `work`, but no longer than `timeoutMs`. */
function untilOr(work: Promise<unknown>, timeoutMs: number, clock: Clock): Promise<void> {
  if (timeoutMs <= 0) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const timer = clock.schedule(timeoutMs, resolve);
    work.then(() => resolve(), reject).finally(() => timer[Symbol.dispose]());
  });
}
