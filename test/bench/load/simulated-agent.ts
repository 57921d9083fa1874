/**
 * An agent as the server sees it: it dials, says Hello, beats, obeys. Its pauses between
 * attempts are the real agent's own. It runs no program and keeps nothing on a disk.
 *
 *     away ── comeUp ──▶ dialling ──Welcome──▶ up ──cut by the server──▶ dialling
 *       ▲                                       │ drop
 *       └───────────────────────────────────────┘
 */
import { create, fromBinary, type MessageInitShape } from "@bufbuild/protobuf";
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
import { encodeMessage } from "../../../gen/grpc.ts";
import { FewAtATime } from "../../support/few-at-a-time.ts";
import { machineMs } from "../stopwatch-clock.ts";
import { brokenLink, type AgentLink, type LinkEnd, type LinkEvents } from "./agent-link.ts";
import { openGrpcLink } from "./grpc-link.ts";
import type { ArrivalPlan, LoadTarget, Obedience, SimulatedHost } from "./orders.ts";
import type { Tally } from "./tally.ts";
import { openWsLink } from "./ws-link.ts";

/** What every agent of a generator shares. */
export interface AgentSurroundings {
  readonly target: LoadTarget;
  readonly tally: Tally;
  obedience: Obedience;
}

const LINKS = { grpc: openGrpcLink, ws: openWsLink };
const HEARTBEAT = encode({ case: "heartbeat", value: {} });
const FETCH_MANIFEST = `/${AgentService.typeName}/${AgentService.method.fetchManifest.name}`;
const FETCH_BLOCKS = `/${AgentService.typeName}/${AgentService.method.fetchBlocks.name}`;
/** *Units*: bytes. As large as the release that the server of a benchmark has. */
const ARTIFACT_BYTES = 65_536n;
/** Who comes alone: nobody waits for anybody. */
const NOBODY_WAITS = new FewAtATime(Number.MAX_SAFE_INTEGER);

export class SimulatedAgent {
  readonly host: SimulatedHost;
  readonly #around: AgentSurroundings;
  readonly #firstVersion: string;
  #version: string;
  #instanceId = systemRandom.uuid();
  #updatedBy: string | undefined;
  #command: CommandUpdate | undefined;
  /** Told as staged, and kept until the commit, whatever becomes of the session. */
  #staged: CommandUpdate | undefined;
  #link: AgentLink | undefined;
  #epoch: bigint | undefined;
  /** Which server's turn it is. */
  #turn = Math.floor(systemRandom.next() * 1_000);
  /** Counts up with each arrival and each drop: what was begun before is over. */
  #life = 0;

  constructor(host: SimulatedHost, version: string, around: AgentSurroundings) {
    this.host = host;
    this.#firstVersion = version;
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
      const failure = await turns.run(() => this.#tryEach(life));
      if (failure === undefined || life !== this.#life) return;
      this.#around.tally.failed(failure.cause);
      const { isTurnedAway, askedMs } = failure;
      const state = {
        failedRounds,
        isUrgent: this.#updatedBy !== undefined || this.#staged !== undefined,
        isTurnedAway,
        askedMs,
      };
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

  /** Cuts the connection, and has its first version again. */
  reinstall(): void {
    this.drop();
    this.#staged = undefined;
    this.#version = this.#firstVersion;
  }

  /** One round over the servers. *Shape*: `undefined` once one welcomed it, or else how the last attempt ended. */
  async #tryEach(life: number): Promise<LinkEnd | undefined> {
    let failure: LinkEnd | undefined;
    for (let left = 1 + (this.#around.target.otherPorts?.length ?? 0); left > 0 && life === this.#life; left -= 1) {
      failure = await this.#attempt();
      if (failure === undefined) return undefined;
      this.#turn += 1;
    }
    return failure;
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
      const link = LINKS[this.#around.target.wire](
        { ...this.#around.target, ...this.host, port: this.#port() },
        events,
      );
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

  #port(): number {
    const { port, otherPorts = [] } = this.#around.target;
    const ports = [port, ...otherPorts];
    return ports[this.#turn % ports.length] ?? port;
  }

  #lose(end: LinkEnd): void {
    this.#turn += 1;
    this.#epoch = undefined;
    this.#link = undefined;
    this.#around.tally.lost(end.cause);
    void this.comeUp({ spreadMs: BACKOFF_LIMITS.firstMs });
  }

  #hear({ message }: ServerMessage, link: AgentLink): void {
    const { tally, obedience } = this.#around;
    if (message.case === "commandUpdate") {
      tally.commanded(machineMs());
      if (obedience.kind === "restart") void this.#restart(message.value, obedience.restartMs);
      if (obedience.kind === "update") void this.#stage(message.value, link);
    } else if (message.case === "commitUpdate" && obedience.kind === "update") {
      this.#report(link, message.value.jobId, UpdatePhase.RESTARTING);
      if (this.#command?.jobId === message.value.jobId) void this.#restart(this.#command, obedience.restartMs);
    }
  }

  /** Everything that an update asks of a server before its commit, in the order of the real agent. */
  async #stage(command: CommandUpdate, link: AgentLink): Promise<void> {
    const { jobId } = command;
    this.#command = command;
    const ranges = [{ first: 0, count: 1 }];
    try {
      await link.request(
        FETCH_MANIFEST,
        encodeMessage(FetchManifestRequestSchema, create(FetchManifestRequestSchema, { jobId })),
      );
      this.#report(link, jobId, UpdatePhase.DOWNLOADING);
      await link.request(
        FETCH_BLOCKS,
        encodeMessage(FetchBlocksRequestSchema, create(FetchBlocksRequestSchema, { jobId, ranges })),
      );
      this.#report(link, jobId, UpdatePhase.DOWNLOADING, ARTIFACT_BYTES);
      this.#staged = command;
      this.#report(link, jobId, UpdatePhase.STAGED, ARTIFACT_BYTES);
    } catch (error) {
      // The server's deadline ends the job, and its next command, if any, begins anew.
      this.#around.tally.lost(error instanceof Error ? error.message : String(error));
    }
  }

  #report(link: AgentLink, jobId: string, phase: UpdatePhase, bytesDone = 0n): void {
    link.send(encode({ case: "updateProgress", value: { jobId, phase, bytesDone, bytesTotal: ARTIFACT_BYTES } }));
  }

  /** Says goodbye, and comes back as the new version. */
  async #restart({ jobId, toVersion }: CommandUpdate, restartMs: number): Promise<void> {
    this.#life += 1;
    this.#epoch = undefined;
    this.#staged = undefined;
    this.#link?.leave();
    this.#link = undefined;
    await systemClock.sleep(restartMs);
    this.#version = toVersion;
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
      ...(this.#staged === undefined
        ? {}
        : {
            activeJob: {
              jobId: this.#staged.jobId,
              phase: UpdatePhase.STAGED,
              manifestSha256: this.#staged.manifestSha256,
            },
          }),
      ...(this.#updatedBy === undefined
        ? {}
        : { lastUpdate: { jobId: this.#updatedBy, outcome: LastUpdate_Outcome.SUCCEEDED } }),
    });
    return encode({ case: "hello", value });
  }
}

function encode(message: NonNullable<MessageInitShape<typeof AgentMessageSchema>["message"]>): Uint8Array {
  return encodeMessage(AgentMessageSchema, create(AgentMessageSchema, { message }));
}
