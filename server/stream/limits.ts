/** What the agent listener allows. Constructor arguments, so that tests shorten and lower them. */
export interface ListenerLimits {
  /** From accept to the first call with a valid credential. */
  readonly authenticationTimeoutMs: number;
  /** Where strangers are full, one as old as this gives way to a newcomer. */
  readonly strangerPatienceMs: number;
  readonly unauthenticatedPerAddress: number;
  readonly unauthenticatedInAll: number;
  /** One more and the host's oldest connection is closed. */
  readonly connectionsPerHost: number;
  /** Every refused credential is answered this long after its headers came, whatever was wrong with it. */
  readonly refusalDelayMs: number;
  /** From the call's headers to Hello. */
  readonly helloTimeoutMs: number;
  /** Hellos that are stored at one time; there is as much room again for hosts with an open job. */
  readonly hellosAtOnce: number;
  /** A session without any message for this long ends. */
  readonly heartbeatTimeoutMs: number;
  readonly messagesPerSecond: number;
  /** Messages queued for one session; one more and its socket is destroyed. */
  readonly queuedMessages: number;
  /** How long the last status of a stream may take to leave before its socket is destroyed. */
  readonly flushTimeoutMs: number;
  readonly messageBytes: number;
  /** Of one call. Held from when the agent acknowledges it; until then HTTP/2 in Node stops at 64 KiB. */
  readonly headerBytes: number;
  readonly streamsPerConnection: number;
  readonly keepaliveTimeMs: number;
  readonly keepaliveTimeoutMs: number;
  /** A connection without any stream for this long is closed. */
  readonly idleTimeoutMs: number;
  /** No transfer of blocks takes longer: no job does. */
  readonly transferTimeoutMs: number;
  /** A transfer of which an agent takes nothing for this long ends, and gives its place up. Waiting for a turn does not count. */
  readonly transferStallMs: number;
  /** How often an agent that waits for its turn is told that it does. */
  readonly waitNoticeMs: number;
  /** A server that drains, or that more agents come to than it takes, asks them to come back spread over this long. */
  readonly returnSpreadMs: number;
}

export const DEFAULT_LIMITS: ListenerLimits = {
  authenticationTimeoutMs: 10_000,
  strangerPatienceMs: 2_000,
  unauthenticatedPerAddress: 20,
  unauthenticatedInAll: 2_000,
  connectionsPerHost: 8,
  refusalDelayMs: 100,
  helloTimeoutMs: 10_000,
  hellosAtOnce: 1_000,
  heartbeatTimeoutMs: 45_000,
  messagesPerSecond: 50,
  queuedMessages: 64,
  flushTimeoutMs: 5_000,
  messageBytes: 1_048_576,
  headerBytes: 16_384,
  streamsPerConnection: 4,
  keepaliveTimeMs: 20_000,
  keepaliveTimeoutMs: 10_000,
  idleTimeoutMs: 300_000,
  transferTimeoutMs: 3_600_000,
  transferStallMs: 90_000,
  waitNoticeMs: 15_000,
  returnSpreadMs: 5_000,
};
