/**
 * Keeps a session open: dial, talk until it ends, wait, dial again.
 *
 * The first attempt is immediate. A round tries every server once, one after
 * another, and begins after the one that had the last session: a server that is gone,
 * or sends its agents away, is the last to ask. After a round that failed comes a
 * pause (`backoff.ts`). While an
 * update is at stake an attempt ends sooner too, so that a server that accepts
 * and says nothing does not cost the update.
 */
import { Metadata, type Client } from "@grpc/grpc-js";
import type { Hello } from "../../gen/rollcall/v1/agent_pb.js";
import type { Clock, Random } from "../clock.ts";
import type { Log } from "../log.ts";
import { proxyAddress, type HttpProxy } from "../proxy/http-proxy.ts";
import { BACKOFF_LIMITS, choosePauseMs, type BackoffLimits } from "./backoff.ts";
import { describeFailure, failureText, isTurnedAway } from "./failure.ts";
import { knock } from "./knock.ts";
import { runSession, type SessionEnd, type SessionListener } from "./session.ts";

/** What the loop needs. */
export interface SessionLoopOptions {
  /** `host:port`, in the order to try. Asked before each round; the same array as long as nothing changed. */
  readonly servers: () => readonly string[];
  readonly openChannel: (server: string) => Client;
  /** The proxy that the channels to a server go through. */
  readonly proxyTo?: (server: string) => HttpProxy | undefined;
  /** Asked before each attempt, since it may be rotated. */
  readonly credential: () => string;
  /** Asked before each attempt, since it tells where an update stands. */
  readonly hello: () => Hello;
  /** True while a job is active or an update unconfirmed. */
  readonly isUrgent: () => boolean;
  readonly listener: SessionListener;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly limits?: SessionLoopLimits;
}

/** Time limits. *Units*: milliseconds. */
export interface SessionLoopLimits {
  readonly backoff: BackoffLimits;
  readonly attemptMs: number;
  readonly urgentAttemptMs: number;
  /** A session that lived at least this long starts the backoff anew. */
  readonly goodSessionMs: number;
}

/** The limits in use. */
export const SESSION_LOOP_LIMITS: SessionLoopLimits = {
  backoff: BACKOFF_LIMITS,
  attemptMs: 10_000,
  urgentAttemptMs: 5_000,
  goodSessionMs: 10_000,
};

/** Runs until `signal` is aborted, then resolves once the last session ended. */
export async function runSessionLoop(options: SessionLoopOptions, signal: AbortSignal): Promise<void> {
  const limits = options.limits ?? SESSION_LOOP_LIMITS;
  let failedRounds = 0;
  let known = options.servers();
  let servers = known;
  while (!signal.aborted) {
    if (options.servers() !== known) servers = known = options.servers();
    const round = await runRound(servers, options, limits, failedRounds > 0, signal);
    if (signal.aborted) return;
    servers = rotated(servers, round.welcomedBy === undefined ? 0 : servers.indexOf(round.welcomedBy) + 1);
    failedRounds = round.wasGood ? 0 : failedRounds + 1;
    const pauseMs = choosePauseMs(
      {
        failedRounds: Math.max(0, failedRounds - 1),
        isUrgent: options.isUrgent(),
        isTurnedAway: round.isTurnedAway,
        askedMs: round.askedMs,
      },
      limits.backoff,
      options.random,
    );
    options.log.info("reconnect_pause", { pause_ms: Math.round(pauseMs), failed_rounds: failedRounds });
    await options.clock.sleep(pauseMs, signal).catch(() => undefined);
  }
}

/** The same servers, beginning with another. */
export function rotated(servers: readonly string[], first: number): readonly string[] {
  return [...servers.slice(first), ...servers.slice(0, first)];
}

interface Round {
  /** The server that a session was open to. */
  readonly welcomedBy: string | undefined;
  readonly wasGood: boolean;
  readonly isTurnedAway: boolean;
  readonly askedMs: number;
}

/** Tries the servers in turn; a session that opened ends the round when it ends. */
async function runRound(
  servers: readonly string[],
  options: SessionLoopOptions,
  limits: SessionLoopLimits,
  isRetry: boolean,
  signal: AbortSignal,
): Promise<Round> {
  const ends: SessionEnd[] = [];
  for (const server of servers) {
    if (signal.aborted) break;
    const startedAtMs = options.clock.monotonicMs();
    const proxy = options.proxyTo?.(server);
    options.log.info("connecting", { server, ...(proxy && { proxy: proxyAddress(proxy) }) });
    const end = isRetry
      ? await attemptIfAnswered(options, limits, server, signal)
      : await attempt(options, limits, server, signal);
    ends.push(end);
    if (end.wasWelcomed) {
      const livedMs = options.clock.monotonicMs() - startedAtMs;
      return { ...summarize(ends.slice(-1), livedMs >= limits.goodSessionMs), welcomedBy: server };
    }
  }
  return summarize(ends, false);
}

function summarize(ends: readonly SessionEnd[], wasGood: boolean): Round {
  return {
    wasGood,
    welcomedBy: undefined,
    // A session that opened proves that this host is welcome, however it ended.
    isTurnedAway: ends.every((end) => !end.wasWelcomed && isTurnedAway(end.failure)),
    askedMs: Math.min(...ends.map((end) => end.failure.refusal?.retryAfterMs ?? 0)),
  };
}

/** A server that did not answer the last time is knocked at first (knock.ts). */
async function attemptIfAnswered(
  options: SessionLoopOptions,
  limits: SessionLoopLimits,
  server: string,
  signal: AbortSignal,
): Promise<SessionEnd> {
  try {
    await knock(server, options.proxyTo?.(server), attemptLimitMs(options, limits), options.clock, signal);
  } catch (error) {
    const failure = describeFailure(error);
    if (!signal.aborted) options.log.warn("connect_failed", { server, cause: failureText(failure) });
    return { wasWelcomed: false, failure };
  }
  return attempt(options, limits, server, signal);
}

function attemptLimitMs(options: SessionLoopOptions, limits: SessionLoopLimits): number {
  return options.isUrgent() ? limits.urgentAttemptMs : limits.attemptMs;
}

async function attempt(
  options: SessionLoopOptions,
  limits: SessionLoopLimits,
  server: string,
  signal: AbortSignal,
): Promise<SessionEnd> {
  const metadata = new Metadata();
  metadata.set("authorization", `Bearer ${options.credential()}`);
  const client = options.openChannel(server);
  try {
    const end = await runSession(
      {
        client,
        metadata,
        hello: options.hello(),
        clock: options.clock,
        attemptLimitMs: attemptLimitMs(options, limits),
      },
      options.listener,
      signal,
    );
    if (!signal.aborted) {
      const level = isTurnedAway(end.failure) ? "error" : "warn";
      options.log[level](end.wasWelcomed ? "disconnected" : "connect_failed", {
        server,
        cause: failureText(end.failure),
      });
    }
    return end;
  } finally {
    client.close();
  }
}
