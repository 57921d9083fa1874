/** A host whose agent does exactly what a test says, and shorter words for what agents often say. */
import { randomUUID } from "node:crypto";
import { LastUpdate_Outcome, UpdatePhase, type CommandUpdate, type Welcome } from "../../gen/rollcall/v1/agent_pb.js";
import { JobReason } from "../../gen/rollcall/v1/model_pb.js";
import { OLD_VERSION, type ControlPlane } from "./control-plane.ts";
import { validHello, type ScriptedAgent, type ScriptedStream } from "./scripted-agent.ts";

/** What the agent sends when it can't replace its binary. */
export const FAILURE = { phase: UpdatePhase.FAILED, reason: JobReason.PREFLIGHT_READ_ONLY } as const;

export class ScriptedHost {
  readonly hostId: string;
  readonly hostname: string;
  readonly agent: ScriptedAgent;
  #stream: ScriptedStream | undefined;

  private constructor(agent: ScriptedAgent & { readonly hostId: string }, hostname: string) {
    this.agent = agent;
    this.hostId = agent.hostId;
    this.hostname = hostname;
  }

  static async enrol(plane: ControlPlane, hostname: string): Promise<ScriptedHost> {
    return new ScriptedHost(await plane.enrollAgent(hostname), hostname);
  }

  /** Enrols a host that also says Hello. */
  static async connect(plane: ControlPlane, hostname: string, agentVersion = OLD_VERSION): Promise<ScriptedHost> {
    const host = await ScriptedHost.enrol(plane, hostname);
    await host.hello({ agentVersion });
    return host;
  }

  get stream(): ScriptedStream {
    if (this.#stream === undefined) throw new Error(`${this.hostname} is not connected`);
    return this.#stream;
  }

  /** A new session, as of a new process unless `instanceId` is given. */
  async hello(changes: Parameters<typeof validHello>[0] = {}): Promise<Welcome> {
    const { hostname } = this;
    const hello = validHello({ hostname, agentVersion: OLD_VERSION, instanceId: randomUUID(), ...changes });
    const { stream, welcome } = await this.agent.hello(hello);
    this.#stream = stream;
    return welcome;
  }

  /** Comes back from the restart of this job as the new version. */
  helloUpdated(jobId: string, agentVersion: string): Promise<Welcome> {
    return this.hello({ agentVersion, lastUpdate: { jobId, outcome: LastUpdate_Outcome.SUCCEEDED } });
  }

  /** The next command. */
  async commanded(): Promise<CommandUpdate> {
    for (;;) {
      const { message } = await this.stream.next();
      if (message.case === "commandUpdate") return message.value;
    }
  }

  /** Reports the next command as failed. Its job. */
  async failNext(): Promise<string> {
    const { jobId } = await this.commanded();
    this.stream.sendProgress({ jobId, ...FAILURE });
    return jobId;
  }

  /** Takes the next command as far as the commit. Its job. */
  async reachCommit(): Promise<string> {
    const { jobId } = await this.commanded();
    this.stream.sendProgress({ jobId, phase: UpdatePhase.STAGED });
    for (;;) {
      const { message } = await this.stream.next();
      if (message.case === "commitUpdate") return jobId;
    }
  }

  /** Ends the session. */
  async leave(): Promise<void> {
    this.stream.cancel();
    await this.stream.ended;
  }
}
