/**
 * An agent as the server sees it: it dials, says Hello, beats, obeys. Its pauses between
 * attempts are the real agent's own. It runs no program and keeps nothing on a disk.
 *
 *     away ── comeUp ──▶ dialling ──Welcome──▶ up ──cut by the server──▶ dialling
 *       ▲                                       │ drop
 *       └───────────────────────────────────────┘
 */
import { create, fromBinary, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { BACKOFF_LIMITS, choosePauseMs } from "../../../agent/stream/backoff.ts";
import { SESSION_LOOP_LIMITS } from "../../../agent/stream/session-loop.ts";
import { systemClock, systemRandom } from "../../../agent/clock-system.ts";
import {
  AgentMessageSchema,
  AgentService,
  FetchBlocksRequestSchema,
  FetchManifestRequestSchema,
  HelloSchema,
  LastUpdate_Outcome,
  ServerMessageSchema,
  UpdatePhase,
  type CommandUpdate,
  type ServerMessage,
} from "../../../gen/rollcall/v1/agent_pb.js";
import { FewAtATime } from "../../support/few-at-a-time.ts";
import { machineMs } from "../stopwatch-clock.ts";
import { brokenLink, type AgentLink, type LinkEnd, type LinkEvents } from "./agent-link.ts";
import { openGrpcLink } from "./grpc-link.ts";
import type { ArrivalPlan, LoadTarget, SimulatedHost } from "./orders.ts";
import type { Tally } from "./tally.ts";
import { openWsLink } from "./ws-link.ts";

/** What every agent of a generator shares. */
export interface AgentSurroundings {
  readonly target: LoadTarget;
  readonly tally: Tally;
  /** How long a restart after an update takes; absent: commands are only noted. *Units*: milliseconds. */
  obedience: { readonly restartMs: number } | undefined;
}

const LINKS = { grpc: openGrpcLink, ws: openWsLink };
const HEARTBEAT = encode({ case: "heartbeat", value: {} });
const FETCH_MANIFEST = `/${AgentService.typeName}/${AgentService.method.fetchManifest.name}`;
const FETCH_BLOCKS = `/${AgentService.typeName}/${AgentService.method.fetchBlocks.name}`;
/** Who comes alone: nobody waits for anybody. */
const NOBODY_WAITS = new FewAtATime(Number.MAX_SAFE_INTEGER);

export class SimulatedAgent {
  readonly host: SimulatedHost;
  readonly #around: AgentSurroundings;
  #version: string;
  #instanceId = systemRandom.uuid();
  #updatedBy: string | undefined;
  #job: CommandUpdate | undefined;
  #link: AgentLink | undefined;
  #epoch: bigint | undefined;
  /** Counts up with each arrival and each drop: what was begun before is over. */
  #life = 0;

  constructor(host: SimulatedHost, version: string, around: AgentSurroundings) {
    this.host = host;
    this.#version = version;
    this.#around = around;
  }

  /** The number of the open session; `undefined` while there is none. */
  get epoch(): bigint | undefined {
    return this.#epoch;
  }

  /** Connects, again and again, and resolves when a server welcomed it. Who is let dial when, `turns` says. */
  async comeUp({ spreadMs }: ArrivalPlan, turns: FewAtATime = NOBODY_WAITS): Promise<void> {
    this.#life += 1;
    const life = this.#life;
    if (spreadMs > 0) await systemClock.sleep(systemRandom.next() * spreadMs);
    for (let failedRounds = 0; life === this.#life; failedRounds += 1) {
      const failure = await turns.run(() => this.#attempt());
      if (failure === undefined || life !== this.#life) return;
      this.#around.tally.failed(failure.cause);
      const { isTurnedAway, askedMs } = failure;
      const state = { failedRounds, isUrgent: this.#updatedBy !== undefined, isTurnedAway, askedMs };
      await systemClock.sleep(choosePauseMs(state, BACKOFF_LIMITS, systemRandom));
    }
  }

  beat(): void {
    if (this.#epoch !== undefined) this.#link?.send(HEARTBEAT);
  }

  /** Cuts the connection. */
  drop(): void {
    this.#life += 1;
    this.#epoch = undefined;
    this.#link?.destroy();
    this.#link = undefined;
  }

  /** *Shape*: `undefined` once it is welcomed, or else how the attempt ended. */
  #attempt(): Promise<LinkEnd | undefined> {
    return new Promise((resolve) => {
      const patience = new AbortController();
      const events: LinkEvents = {
        message: (bytes) => {
          const message = fromBinary(ServerMessageSchema, bytes);
          if (message.message.case === "welcome") {
            patience.abort();
            this.#epoch = message.message.value.sessionEpoch;
            this.#updatedBy = undefined;
            resolve(undefined);
          } else this.#hear(message, link);
        },
        ended: (end) => {
          patience.abort();
          resolve(end);
          if (this.#link === link && this.#epoch !== undefined) this.#lose(end);
        },
      };
      const link = LINKS[this.#around.target.wire]({ ...this.#around.target, ...this.host }, events);
      this.#link = link;
      link.send(this.#hello());
      systemClock.sleep(SESSION_LOOP_LIMITS.attemptMs, patience.signal).then(
        () => {
          link.destroy();
          resolve(brokenLink("no Welcome in time"));
        },
        () => undefined,
      );
    });
  }

  #lose(end: LinkEnd): void {
    this.#epoch = undefined;
    this.#link = undefined;
    this.#around.tally.lost(end.cause);
    void this.comeUp({ spreadMs: BACKOFF_LIMITS.firstMs });
  }

  #hear({ message }: ServerMessage, link: AgentLink): void {
    if (message.case === "commandUpdate") {
      this.#around.tally.commanded(machineMs());
      this.#job = message.value;
      if (this.#around.obedience !== undefined) void this.#stage(message.value.jobId, link).catch(() => undefined);
    } else if (message.case === "commitUpdate" && this.#around.obedience !== undefined) {
      void this.#restart(message.value.jobId, this.#around.obedience.restartMs);
    }
  }

  /** Everything that an update asks of a server before its commit. */
  async #stage(jobId: string, link: AgentLink): Promise<void> {
    await link.request(
      FETCH_MANIFEST,
      toBinary(FetchManifestRequestSchema, create(FetchManifestRequestSchema, { jobId })),
    );
    link.send(encode({ case: "updateProgress", value: { jobId, phase: UpdatePhase.DOWNLOADING } }));
    const ranges = [{ first: 0, count: 1 }];
    await link.request(
      FETCH_BLOCKS,
      toBinary(FetchBlocksRequestSchema, create(FetchBlocksRequestSchema, { jobId, ranges })),
    );
    link.send(encode({ case: "updateProgress", value: { jobId, phase: UpdatePhase.STAGED } }));
  }

  /** Ends, and comes back as the new version. */
  async #restart(jobId: string, restartMs: number): Promise<void> {
    this.drop();
    await systemClock.sleep(restartMs);
    this.#version = this.#job?.toVersion ?? this.#version;
    this.#instanceId = systemRandom.uuid();
    this.#updatedBy = jobId;
    await this.comeUp({ spreadMs: 0 });
    this.#around.tally.updated();
  }

  #hello(): Uint8Array {
    const value = create(HelloSchema, {
      agentVersion: this.#version,
      protocolVersion: 1,
      os: "linux",
      arch: "x64",
      hostname: this.host.hostname,
      instanceId: this.#instanceId,
      packages: [{ package: "rollcall-agent", version: this.#version }],
      ...(this.#updatedBy === undefined
        ? {}
        : { lastUpdate: { jobId: this.#updatedBy, outcome: LastUpdate_Outcome.SUCCEEDED } }),
    });
    return encode({ case: "hello", value });
  }
}

function encode(message: NonNullable<MessageInitShape<typeof AgentMessageSchema>["message"]>): Uint8Array {
  return toBinary(AgentMessageSchema, create(AgentMessageSchema, { message }));
}
