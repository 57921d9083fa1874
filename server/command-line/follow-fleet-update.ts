/** A fleet update, until it ends: a line for each host whose part changes, and one at the bottom for the whole. */
import type { Job } from "../../gen/rollcall/v1/model_pb.js";
import {
  FleetUpdateHostState,
  FleetUpdateSchema,
  FleetUpdateState,
  type FleetUpdate,
  type FleetUpdateHost,
} from "../../gen/rollcall/v1/rollout_pb.js";
import { shortReason } from "../../gen/short-reason.ts";
import { explainHalt } from "../../gen/words/halt-words.ts";
import { isOpen, memberWord } from "../../gen/words/job-words.ts";
import { count } from "../../gen/words/quantities.ts";
import { formatClock } from "../../gen/words/times.ts";
import { CommandError } from "./command-error.ts";
import type { Server } from "./connect.ts";
import { EXIT } from "./exit-status.ts";
import { followFleet } from "./follow-fleet.ts";
import { jobProgress } from "./follow-job.ts";
import { printable } from "./terminal.ts";
import { toJson, type Tool } from "./tool.ts";

const BAR_WIDTH = 24;

/**
 * Tells how a fleet update goes on. With `--json` it prints a line of JSON for each change, the last one its end.
 *
 * *Throws* CommandError unless it completed.
 */
export async function followFleetUpdate(tool: Tool, server: Server, id: string): Promise<void> {
  const view = new FleetUpdateView(tool);
  for await (const change of followFleet(tool, server)) {
    if (change.case === "job" && change.value.fleetUpdateId === id) view.showJob(change.value);
    const isDue = change.case === "caughtUp" || (change.case === "fleetUpdate" && change.value.id === id);
    if (!isDue) continue;
    // The change tells its counts; who is where stands in the whole.
    const { fleetUpdate, hosts } = await server.fleet.getFleetUpdate({ fleetUpdateId: id });
    if (fleetUpdate === undefined) throw new CommandError("The server knows no such fleet update.", EXIT.failed);
    view.show(fleetUpdate, hosts);
    if (fleetUpdate.state === FleetUpdateState.RUNNING) continue;
    tool.terminal.showStatus("");
    return await tellEnd(tool, server, fleetUpdate, hosts);
  }
  throw new CommandError("The server ended the watch before the fleet update did.", EXIT.serverFailed);
}

async function tellEnd(
  tool: Tool,
  { fleet }: Server,
  update: FleetUpdate,
  hosts: readonly FleetUpdateHost[],
): Promise<void> {
  if (update.state === FleetUpdateState.COMPLETED) {
    if (!tool.isJson()) tool.terminal.print(`Completed: ${tally(update)}.`);
    return;
  }
  if (update.state === FleetUpdateState.CANCELLED) throw new CommandError(`Cancelled: ${tally(update)}.`, EXIT.failed);
  const at = hosts.find(({ hostId }) => hostId === update.haltedHostId);
  const job = at === undefined || at.jobId === "" ? undefined : (await fleet.getJob({ jobId: at.jobId })).job;
  const { title, happened, untouched, toDo } = explainHalt(update, at?.hostname ?? "a host that was removed", job);
  throw new CommandError(printable(`${title}. ${happened} ${untouched} ${toDo}`), EXIT.failed, {
    reason: update.haltReason,
  });
}

/** `5 of 12 succeeded, 1 failed, 6 not touched`. */
export function tally({ counts, state }: FleetUpdate): string {
  const { total = 0, succeeded = 0, failed = 0, skipped = 0, cancelled = 0, updating = 0, pending = 0 } = counts ?? {};
  const others: readonly (readonly [number, string])[] = [
    [failed, "failed"],
    [skipped, "skipped"],
    [cancelled, "cancelled"],
    [updating, "updating"],
    [pending, state === FleetUpdateState.RUNNING ? "pending" : "not touched"],
  ];
  const told = others.filter(([n]) => n > 0).map(([n, word]) => `, ${n} ${word}`);
  return `${succeeded} of ${count(total, "host")} succeeded${told.join("")}`;
}

/** What was shown already. */
class FleetUpdateView {
  readonly #tool: Tool;
  readonly #shown = new Map<string, FleetUpdateHostState>();
  readonly #jobs = new Map<string, Job>();
  #update: FleetUpdate | undefined;
  #hosts: readonly FleetUpdateHost[] = [];

  constructor(tool: Tool) {
    this.#tool = tool;
  }

  show(update: FleetUpdate, hosts: readonly FleetUpdateHost[]): void {
    this.#update = update;
    this.#hosts = hosts;
    if (this.#tool.isJson()) this.#tool.terminal.print(toJson(FleetUpdateSchema, update));
    else for (const host of hosts) this.#showHost(host, update);
    this.#showStatus();
  }

  showJob(job: Job): void {
    if (isOpen(job.state)) this.#jobs.set(job.hostId, job);
    else this.#jobs.delete(job.hostId);
    this.#showStatus();
  }

  #showHost(host: FleetUpdateHost, update: FleetUpdate): void {
    const before = this.#shown.get(host.hostId) ?? FleetUpdateHostState.PENDING;
    this.#shown.set(host.hostId, host.state);
    if (host.state === before) return;
    const { clock, terminal } = this.#tool;
    const reason = host.reason === "" ? "" : `: ${shortReason(host.reason).toLowerCase()}`;
    const versions = `${host.fromVersion} → ${update.toVersion}`;
    const state = memberWord(host.state, update.state).word.toLowerCase();
    terminal.print(
      printable(`${formatClock(clock.now().getTime())}  ${host.hostname}  ${versions}  ${state}${reason}`),
    );
  }

  #showStatus(): void {
    const update = this.#update;
    if (update === undefined || this.#tool.isJson()) return;
    const { total = 0, pending = 0, updating = 0 } = update.counts ?? {};
    const done = total === 0 ? 1 : (total - pending - updating) / total;
    const bar = "█".repeat(Math.floor(done * BAR_WIDTH)).padEnd(BAR_WIDTH, "░");
    const working = this.#hosts
      .filter(({ state }) => state === FleetUpdateHostState.UPDATING)
      .slice(0, 2)
      .map(({ hostId, hostname }) => {
        const job = this.#jobs.get(hostId);
        return job === undefined ? hostname : `${hostname} ${jobProgress(job).toLowerCase()}`;
      });
    this.#tool.terminal.showStatus(printable([`${bar} ${tally(update)}`, ...working].join("  ")));
  }
}
