import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { Clock } from "../domain/clock.ts";
import { RefusedError } from "../domain/errors.ts";
import type { RefusalReason } from "../domain/refusal.ts";
import type { SessionHandler } from "../stream/ports.ts";
import { REFUSAL_REASONS } from "../wire/refusal-words.ts";

/** What the agent listener counts. */
export interface StreamCounts {
  /** Hosts with a live session here. */
  readonly sessions: number;
  readonly connections: number;
  /** Connections that showed no credential yet. */
  readonly unauthenticated: number;
  /** Refused at accept, since the start. */
  readonly refusedConnections: number;
}

const HELLO_OUTCOMES = ["welcomed", "refused", "failed"] as const;
/** *Units*: seconds. */
const HELLO_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Agents' streams: how many there are, how they begin, and what is refused. */
export function createStreamMetrics(registry: Registry, clock: Clock) {
  const registers = [registry];
  const sessions = new Gauge({
    name: "rollcall_agent_streams",
    help: "Hosts with a live session on this server.",
    registers,
  });
  const connections = new Gauge({
    name: "rollcall_agent_connections",
    help: "Open connections of the agent listener.",
    registers,
  });
  const strangers = new Gauge({
    name: "rollcall_agent_connections_unauthenticated",
    help: "Open connections of the agent listener that showed no credential yet.",
    registers,
  });
  const refusedConnections = new Counter({
    name: "rollcall_agent_connections_refused_total",
    help: "Connections that the agent listener refused at accept.",
    registers,
  });
  const hellos = new Counter({
    name: "rollcall_hellos_total",
    help: "Hellos of agents, by what became of them.",
    labelNames: ["outcome"],
    registers,
  });
  const helloSeconds = new Histogram({
    name: "rollcall_hello_duration_seconds",
    help: "From a Hello to its Welcome, of those that were welcomed.",
    buckets: HELLO_BUCKETS,
    registers,
  });
  const refusals = new Counter({
    name: "rollcall_refusals_total",
    help: "Requests of agents and of people that were refused, by reason.",
    labelNames: ["reason"],
    registers,
  });
  for (const outcome of HELLO_OUTCOMES) hellos.inc({ outcome }, 0);
  for (const reason of REFUSAL_REASONS) refusals.inc({ reason }, 0);

  async function opened(handler: SessionHandler, ...hello: Parameters<SessionHandler["opened"]>) {
    const startedAtMs = clock.monotonicMs();
    try {
      const session = await handler.opened(...hello);
      hellos.inc({ outcome: "welcomed" });
      helloSeconds.observe((clock.monotonicMs() - startedAtMs) / 1_000);
      return session;
    } catch (error) {
      hellos.inc({ outcome: error instanceof RefusedError ? "refused" : "failed" });
      throw error;
    }
  }

  return {
    refused: (reason: RefusalReason): void => refusals.inc({ reason }),
    /** The handler, with its Hellos counted and timed. */
    meterHellos: (handler: SessionHandler): SessionHandler => ({
      hasOpenJob: (...hello) => handler.hasOpenJob(...hello),
      opened: (...hello) => opened(handler, ...hello),
      progressed: (...progress) => handler.progressed(...progress),
      closed: (...session) => handler.closed(...session),
    }),
    read(counts: StreamCounts): void {
      sessions.set(counts.sessions);
      connections.set(counts.connections);
      strangers.set(counts.unauthenticated);
      refusedConnections.reset();
      refusedConnections.inc(counts.refusedConnections);
    },
  };
}
