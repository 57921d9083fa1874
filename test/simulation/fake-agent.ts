/**
 * An agent and its host, reduced to the rules that the server relies on.
 *
 * A command stages a release; a stage lives in the memory of its process, is told of on
 * every session, and may be swapped in only by a commit for this job, this manifest and
 * this session within 60 s of telling of it there, checked again right before the swap.
 * After the swap the process ends and whatever its fate holds comes up; the guard puts
 * the old version back where the new one fails.
 */
import { UPDATE_LIMITS } from "../../agent/updater/update-limits.ts";
import type { CommandUpdate, CommitUpdate, ServerMessage } from "../../gen/rollcall/v1/agent_pb.js";
import { JobReason } from "../../gen/rollcall/v1/model_pb.js";
import type { HostId } from "../../server/domain/ids.ts";
import { AgentLife } from "./agent-life.ts";
import { failureOf, helloOf, progressOf, type Ending, type ToldJob } from "./agent-words.ts";
import type { AgentWorld } from "./agent-world.ts";
import type { Fate } from "./fate.ts";
import { Link } from "./link.ts";

const ATTEMPT_MS = 5_000;
const CONFIRM_WITHIN_MS = 45_000;

interface AgentJob extends ToldJob {
  readonly command: CommandUpdate;
  /** The session that the download began on. */
  readonly beganOn: Link | undefined;
}

export class FakeAgent {
  readonly hostId: HostId;
  readonly hostname: string;
  readonly #world: AgentWorld;
  readonly #arch: string;
  #fate: Fate;
  #version: string;
  #life: AgentLife;
  #instanceId = "";
  #link: Link | undefined;
  #isWelcomed = false;
  #epoch = 0n;
  #job: AgentJob | undefined;
  #ending: Ending | undefined;
  #droppedJobId: string | undefined;
  #unconfirmed: { readonly jobId: string; readonly from: string } | undefined;
  #commitUntilMs = 0;
  #hasDied = false;
  #isAway = false;

  constructor(
    world: AgentWorld,
    host: {
      readonly id: HostId;
      readonly hostname: string;
      readonly arch: string;
      readonly version: string;
      readonly fate: Fate;
    },
  ) {
    this.#world = world;
    this.#arch = host.arch;
    this.#fate = host.fate;
    this.#version = host.version;
    this.#life = new AgentLife(world.time);
    this.hostId = host.id;
    this.hostname = host.hostname;
  }

  get link(): Link | undefined {
    return this.#link;
  }

  /** Replaces what will become of it from now on. */
  setFate(fate: Fate): void {
    this.#fate = fate;
  }

  /** Starts a process of the version that is installed. */
  boot(): void {
    if (this.#isAway) return;
    this.#endProcess();
    this.#life = new AgentLife(this.#world.time);
    this.#instanceId = this.#world.nextId("instance");
    this.#connect();
    const unconfirmed = this.#unconfirmed;
    if (unconfirmed !== undefined) this.#life.after(CONFIRM_WITHIN_MS, () => this.#guard(unconfirmed));
  }

  /** The process ends and its service manager starts it again. */
  restart(): void {
    if (this.#isAway || this.#life.isOver) return;
    this.#endProcess();
    this.#world.time.after(this.#world.dice.whole(500, 2_000), () => this.boot());
  }

  /** The host goes down, for this long or for ever. */
  goAway(forMs: number | undefined): void {
    if (this.#isAway) return;
    this.#endProcess();
    this.#isAway = true;
    if (forMs === undefined) return;
    this.#world.time.after(forMs, () => {
      this.#isAway = false;
      this.boot();
    });
  }

  /** The machine stands still for this long; whoever waits for it gives up after a while. */
  freeze(forMs: number): void {
    const life = this.#life;
    life.freeze();
    const link = this.#link;
    this.#world.time.after(this.#world.dice.whole(20_000, 40_000), () => {
      if (forMs > 20_000) link?.cutByServer();
    });
    this.#world.time.after(forMs, () => life.thaw());
  }

  received(link: Link, { message }: ServerMessage): void {
    this.#life.run(() => {
      if (link !== this.#link) return;
      if (message.case === "welcome") this.#welcomed(message.value.sessionEpoch);
      else if (message.case === "commandUpdate") this.#command(message.value);
      else if (message.case === "commitUpdate") this.#commit(message.value);
      else if (message.case === "cancelUpdate") this.#drop(message.value.jobId);
    });
  }

  lost(link: Link): void {
    const life = this.#life;
    life.run(() => {
      if (link !== this.#link) return;
      this.#link = undefined;
      this.#isWelcomed = false;
      const isUrgent = this.#job !== undefined || this.#unconfirmed !== undefined;
      life.after(this.#world.dice.whole(0, isUrgent ? 3_000 : 12_000), () => this.#connect());
    });
  }

  #endProcess(): void {
    this.#life.end();
    const link = this.#link;
    this.#link = undefined;
    this.#isWelcomed = false;
    this.#job = undefined;
    this.#droppedJobId = undefined;
    const { dice } = this.#world;
    link?.cutByAgent(dice.chance(0.9) ? dice.whole(1, 100) : dice.whole(1_000, 30_000));
  }

  #connect(): void {
    if (this.#link !== undefined) return;
    const { dice, time } = this.#world;
    const server = this.#world.findServer();
    if (server === undefined) {
      this.#life.after(dice.whole(500, 3_000), () => this.#connect());
      return;
    }
    const link = new Link(time, dice, this, server);
    this.#link = link;
    const { hostname } = this;
    const facts = { version: this.#version, hostname, arch: this.#arch, instanceId: this.#instanceId };
    link.open(helloOf({ ...facts, job: this.#job, ending: this.#ending }), this.hostId);
    this.#life.after(ATTEMPT_MS, () => {
      if (this.#link === link && !this.#isWelcomed) link.cutByAgent(dice.whole(1, 1_000));
    });
  }

  #welcomed(epoch: bigint): void {
    this.#isWelcomed = true;
    this.#epoch = epoch;
    if (this.#unconfirmed !== undefined) {
      this.#ending = { jobId: this.#unconfirmed.jobId, outcome: "succeeded", reason: JobReason.UNSPECIFIED };
      this.#unconfirmed = undefined;
    }
    const job = this.#job;
    if (job === undefined) return;
    if (job.phase === "staged") this.#holdForCommit(job);
    else this.#tell(job);
  }

  #tell(job: ToldJob): void {
    if (this.#isWelcomed) this.#link?.report(progressOf(job));
  }

  #command(command: CommandUpdate): void {
    const { jobId } = command;
    if (this.#fate.ignoresCommands || jobId === this.#droppedJobId) return;
    if (this.#job?.jobId === jobId) {
      this.#tell(this.#job);
      return;
    }
    if (this.#ending?.jobId === jobId) {
      if (this.#ending.outcome === "failed") this.#link?.report(failureOf(jobId, this.#ending.reason));
      else this.#link?.cutByAgent(1);
      return;
    }
    if (this.#job !== undefined) this.#drop(this.#job.jobId);
    if (command.toVersion === this.#version) {
      this.#ending = { jobId, outcome: "succeeded", reason: JobReason.UNSPECIFIED };
      this.#link?.cutByAgent(1);
      return;
    }
    this.#ending = undefined;
    const { parts } = this.#fate;
    this.#job = { jobId, phase: "downloading", partsDone: 0, parts, command, beganOn: this.#link };
    this.#tell(this.#job);
    this.#download(this.#job);
  }

  /** Fetches a part whenever there is a session to fetch it over. */
  #download(job: AgentJob): void {
    const { failure, partMs, probeMs } = this.#fate;
    if (failure !== undefined && failure.afterParts <= job.partsDone) {
      this.#fail(job, failure.reason);
      return;
    }
    if (this.#dies(job, "downloading")) return;
    if (job.partsDone === job.parts) {
      this.#whileCurrent(job, probeMs, () => this.#holdForCommit({ ...job, phase: "staged" }));
      return;
    }
    this.#whileCurrent(job, partMs, () => {
      if (!this.#isWelcomed) {
        this.#download(job);
        return;
      }
      if (job.partsDone > 0 && job.beganOn !== this.#link) this.#world.note("a download is resumed");
      const next = { ...job, partsDone: job.partsDone + 1 };
      this.#job = next;
      this.#tell(next);
      this.#download(next);
    });
  }

  #whileCurrent(job: AgentJob, delayMs: number, work: () => void): void {
    this.#life.after(delayMs, () => {
      if (this.#job === job) work();
    });
  }

  /** Tells of the stage; from then on the commit has its time on this session. */
  #holdForCommit(job: AgentJob): void {
    if (this.#dies(job, "staged")) return;
    const { time } = this.#world;
    const { commitWindowMs } = UPDATE_LIMITS;
    this.#job = job;
    const link = this.#link;
    this.#commitUntilMs = time.nowMs + commitWindowMs;
    this.#tell(job);
    this.#whileCurrent(job, commitWindowMs, () => {
      if (this.#link === link && this.#isTooLate()) this.#fail(job, JobReason.COMMIT_EXPIRED);
    });
  }

  #isTooLate(): boolean {
    return this.#link !== undefined && this.#isWelcomed && this.#world.time.nowMs >= this.#commitUntilMs;
  }

  #commit(commit: CommitUpdate): void {
    const job = this.#job;
    if (job?.phase !== "staged" || commit.jobId !== job.jobId || commit.sessionEpoch !== this.#epoch) return;
    if (!Buffer.from(commit.manifestSha256).equals(job.command.manifestSha256)) return;
    if (this.#isTooLate()) {
      this.#fail(job, JobReason.COMMIT_EXPIRED);
      return;
    }
    const restarting: AgentJob = { ...job, phase: "restarting" };
    this.#job = restarting;
    this.#tell(restarting);
    if (this.#dies(restarting, "restarting")) return;
    const untilMs = this.#commitUntilMs;
    this.#whileCurrent(restarting, this.#fate.swapMs, () => {
      if (this.#world.time.nowMs >= untilMs) this.#fail(restarting, JobReason.COMMIT_EXPIRED);
      else this.#swap(restarting);
    });
  }

  #drop(jobId: string): void {
    if (this.#job?.jobId !== jobId) return;
    this.#droppedJobId = jobId;
    this.#job = undefined;
  }

  #fail(job: AgentJob, reason: JobReason): void {
    if (reason === JobReason.COMMIT_EXPIRED) this.#world.note("a commit expires");
    this.#job = undefined;
    this.#ending = { jobId: job.jobId, outcome: "failed", reason };
    if (this.#isWelcomed) this.#link?.report(failureOf(job.jobId, reason));
  }

  #dies(job: AgentJob, phase: Fate["diesWhile"]): boolean {
    if (this.#hasDied || this.#fate.diesWhile !== phase || job.partsDone === 0) return false;
    this.#hasDied = true;
    this.restart();
    return true;
  }

  #swap({ jobId, command }: AgentJob): void {
    const { time, dice } = this.#world;
    const { aftermath } = this.#fate;
    const from = this.#version;
    this.#world.swapped(this.hostId, jobId, command.toVersion);
    this.#version = command.toVersion;
    this.#endProcess();
    const rollBackAfter = (delayMs: number, reason: JobReason): void => {
      time.after(delayMs, () => this.#restore(jobId, from, reason));
    };
    switch (aftermath) {
      case "comes back":
        this.#unconfirmed = { jobId, from };
        time.after(dice.whole(1_000, 3_000), () => this.boot());
        return;
      case "crashes":
        rollBackAfter(dice.whole(4_000, 20_000), JobReason.CRASHED);
        return;
      case "is not confirmed":
        rollBackAfter(dice.whole(46_000, 75_000), JobReason.NOT_CONFIRMED);
        return;
      case "is lost, then rolls back":
        rollBackAfter(dice.whole(95_000, 200_000), JobReason.NOT_CONFIRMED);
        return;
      case "is another version":
        this.#version = `${command.toVersion}-other`;
        time.after(dice.whole(1_000, 3_000), () => this.boot());
        return;
      case "is lost":
        this.#isAway = true;
    }
  }

  /** Puts the old version back when this one was not confirmed though a server can be reached. */
  #guard(unconfirmed: { readonly jobId: string; readonly from: string }): void {
    if (this.#unconfirmed !== unconfirmed) return;
    if (this.#world.findServer() === undefined) {
      this.#life.after(5_000, () => this.#guard(unconfirmed));
      return;
    }
    this.#life.after(10_000, () => {
      if (this.#unconfirmed !== unconfirmed) return;
      this.#unconfirmed = undefined;
      this.#restore(unconfirmed.jobId, unconfirmed.from, JobReason.NOT_CONFIRMED);
    });
  }

  #restore(jobId: string, version: string, reason: JobReason): void {
    this.#endProcess();
    this.#version = version;
    this.#ending = { jobId, outcome: "rolled back", reason };
    this.#world.time.after(this.#world.dice.whole(100, 2_000), () => this.boot());
  }
}
