/** What the bench tells its generators of load, and what they answer. Everything passes as JSON. */

/** What is spoken. */
export type WireKind = "grpc" | "ws";

/** One simulated agent. */
export interface SimulatedHost {
  readonly hostId: string;
  readonly hostname: string;
  readonly credential: string;
  /** An address of its own among those of this machine, 127.0.0.0/8. */
  readonly localAddress: string;
}

/** The server that agents are to connect to. */
export interface LoadTarget {
  readonly wire: WireKind;
  readonly host: string;
  readonly port: number;
  /** Ports of further servers of the same fleet; an agent begins with any and leaves one that failed it. */
  readonly otherPorts?: readonly number[];
  readonly caPem: string;
}

/** How agents come. */
export interface ArrivalPlan {
  /** Attempts at a time; absent: every agent dials when its time has come. */
  readonly atATime?: number;
  /** *Units*: milliseconds over which first attempts are spread by chance. */
  readonly spreadMs: number;
  /** So many of them, the first ones, counting those that are up already; absent: all. */
  readonly upTo?: number;
}

/**
 * What agents do with a command: nothing but note it, come back at once as the new version,
 * or all that an update asks of a server and then come back as the new version.
 *
 * *Units*: milliseconds that a restart takes.
 */
export type Obedience =
  | { readonly kind: "note" }
  | { readonly kind: "restart"; readonly restartMs: number }
  | { readonly kind: "update"; readonly restartMs: number };

/** What came of their coming. */
export interface Arrivals {
  readonly welcomed: number;
  /** Attempts that ended without a Welcome, by cause. */
  readonly failures: Readonly<Record<string, number>>;
}

/** A session as the agent's side knows it. */
export interface HeldSession {
  readonly hostId: string;
  readonly epoch: string;
}

/** What agents saw since the last time they were asked. */
export interface Sightings {
  /** When commands came. *Units*: milliseconds of the machine's clock. */
  readonly commandsAtMs: readonly number[];
  /** Sessions that ended although nobody asked for it, by cause. */
  readonly losses: Readonly<Record<string, number>>;
  /** Updates carried out. */
  readonly updates: number;
}

/** Each order with its answer. */
export interface Orders {
  /** These agents from now on; the ones before are gone. */
  gather: {
    readonly ask: {
      readonly target: LoadTarget;
      readonly agentVersion: string;
      readonly hosts: readonly SimulatedHost[];
    };
    readonly answer: null;
  };
  /** Every agent connects, as often as it takes, until it is welcomed. */
  connect: { readonly ask: ArrivalPlan; readonly answer: Arrivals };
  /** Every connection is cut, and stays so. */
  drop: { readonly ask: null; readonly answer: null };
  /** Every agent sends a heartbeat so often, evenly spread; 0 for never. */
  beat: { readonly ask: { readonly intervalMs: number }; readonly answer: null };
  /** So many agents of a hundred, a minute, cut their connection and come back in their first version; 0 for none. */
  churn: { readonly ask: { readonly percentAMinute: number }; readonly answer: null };
  /** What agents do with commands from now on. */
  obey: { readonly ask: Obedience; readonly answer: null };
  sessions: { readonly ask: null; readonly answer: readonly HeldSession[] };
  sightings: { readonly ask: null; readonly answer: Sightings };
}

/** An order on its way. */
export type OrderMessage = {
  readonly [K in keyof Orders]: { readonly kind: K; readonly ask: Orders[K]["ask"] };
}[keyof Orders];

/** An answer on its way. */
export type AnswerMessage = { readonly answer: unknown } | { readonly failure: string };
