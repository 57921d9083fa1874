/** `hosts`: who is in the fleet, and one host at a time. */
import type { Command } from "commander";
import {
  GetHostResponseSchema,
  ListHostsResponseSchema,
  RemoveHostResponseSchema,
} from "../../../gen/rollcall/v1/fleet_pb.js";
import { create } from "@bufbuild/protobuf";
import { HostStatus, JobSchema, type Host } from "../../../gen/rollcall/v1/model_pb.js";
import { isFailure, isOpen, jobWord } from "../../../gen/words/job-words.ts";
import { whyNotUpdatable } from "../../../gen/words/refusal-words.ts";
import { heldWord } from "../../../gen/words/standing-words.ts";
import { SHORT_REASONS } from "../../../gen/short-reason.ts";
import { formatLabels, type LabelWords } from "../../../gen/labels.ts";
import { isYes } from "../ask.ts";
import { CommandError } from "../command-error.ts";
import { EXIT } from "../exit-status.ts";
import { findHost, listHosts, shortId } from "../find-one.ts";
import { followJob, jobProgress } from "../follow-job.ts";
import { parseCount, parseLabel } from "../option-values.ts";
import { addEditHost } from "./edit-host.ts";
import { printFacts, printTable, type Cell } from "../table.ts";
import { show, type Tool } from "../tool.ts";
import { ago, moment, stateCell } from "../words.ts";

interface ListOptions {
  readonly online?: true;
  readonly offline?: true;
  readonly behind?: true;
  readonly search?: string;
  readonly label?: readonly LabelWords[];
  readonly limit?: number;
}

interface UpdateOptions {
  readonly ignoreQuarantine?: true;
  readonly wait: boolean;
}

/** *Units*: jobs that `show` tells of. */
const JOBS_SHOWN = 5;

/** Adds it. */
export function addHosts(program: Command, tool: Tool): void {
  const hosts = program
    .command("hosts")
    .description("the hosts of the fleet; HOST is a hostname, an id or its beginning");
  hosts
    .command("list")
    .description("all hosts, by name")
    .option("--online", "those that are online")
    .option("--offline", "those that are offline")
    .option("--behind", "those that do not run the target version")
    .option("--label <key=value>", "those that have it; said several times, all of them", parseLabel)
    .option("--search <text>", "those whose hostname, version, platform or id holds this")
    .option("--limit <n>", "no more than so many", parseCount)
    .action((options: ListOptions) => list(tool, options));
  hosts
    .command("show <host>")
    .description("one host, and its last updates")
    .action((word: string) => showHost(tool, word));
  addEditHost(hosts, tool);
  hosts
    .command("update <host>")
    .description("bring one host to the target version, and wait until it is there")
    .option("--ignore-quarantine", "also when its build is quarantined")
    .option("--no-wait", "only start it")
    .action((word: string, options: UpdateOptions) => update(tool, word, options));
  hosts
    .command("cancel <host>")
    .description("call off the update of one host, while it is not committed")
    .action((word: string) => cancel(tool, word));
  hosts
    .command("remove <host>")
    .description("take a host out of the fleet; its agent stays installed and is not let in any longer")
    .option("-y, --yes", "do not ask")
    .action((word: string, options: { readonly yes?: true }) => remove(tool, word, options.yes === true));
}

async function list(tool: Tool, options: ListOptions): Promise<void> {
  const { fleet } = await tool.connect();
  const isAny = [options.online, options.offline, options.behind, options.search].every((one) => one === undefined);
  const { label: labels = [] } = options;
  const all = await listHosts(fleet, { labels, limit: isAny ? options.limit : undefined });
  const hosts = all.filter((host) => matches(host, options)).slice(0, options.limit);
  show(tool, ListHostsResponseSchema, create(ListHostsResponseSchema, { hosts }), () => {
    const rows = hosts.map((host) => [
      host.hostname,
      statusCell(host),
      host.agentVersion,
      standing(host),
      host.platform,
      ago(tool, host.lastSeenAt),
      shortId(host.id),
    ]);
    const head = ["HOST", "STATUS", "VERSION", "UPDATE", "PLATFORM", "LAST SEEN", "ID"];
    printTable(
      tool.terminal,
      head,
      rows,
      isAny && labels.length === 0 ? "There are no hosts yet." : "No host is like that.",
    );
  });
}

function matches(host: Host, { online, offline, behind, search }: ListOptions): boolean {
  if (online === true && host.status !== HostStatus.ONLINE) return false;
  if (offline === true && host.status !== HostStatus.OFFLINE) return false;
  if (behind === true && !host.updateAvailable) return false;
  const text = [host.hostname, host.agentVersion, host.platform, host.id].join(" ").toLowerCase();
  return search === undefined || text.includes(search.toLowerCase());
}

function statusCell({ status }: Host): Cell {
  return status === HostStatus.ONLINE
    ? stateCell({ shape: "online", word: "online" })
    : stateCell({ shape: "offline", word: "offline" });
}

/** How it stands to the target version. */
function standing(host: Host): Cell {
  const job = host.latestJob;
  if (job !== undefined && isOpen(job.state))
    return stateCell({ shape: "progress", word: jobProgress(job).toLowerCase() });
  const held = heldWord(host);
  if (held !== undefined) return stateCell({ ...held, word: held.word.toLowerCase() });
  if (!host.updateAvailable) return stateCell({ shape: "current", word: "current" });
  if (job !== undefined && isFailure(job.state) && job.toVersion === host.targetVersion)
    return stateCell({ shape: "failed", word: `behind, ${jobWord(job.state).word.toLowerCase()}` });
  return stateCell({ shape: "behind", word: "behind" });
}

async function showHost(tool: Tool, word: string): Promise<void> {
  const server = await tool.connect();
  const { id } = await findHost(server, word);
  const answer = await server.fleet.getHost({ hostId: id });
  const { host, reinstallCommand } = answer;
  if (host === undefined) throw new CommandError(`There is no host ${word}.`, EXIT.failed);
  const { jobs } = await server.fleet.listJobs({ hostId: id, pageSize: JOBS_SHOWN });
  show(tool, GetHostResponseSchema, answer, () => {
    printFacts(tool.terminal, [
      ["host", host.hostname],
      ["called", host.displayName],
      ["labels", formatLabels(host.labels)],
      ["id", host.id],
      ["status", statusCell(host)],
      ["last seen", ago(tool, host.lastSeenAt)],
      ["version", host.agentVersion],
      ["target", host.targetVersion],
      ["update", standing(host)],
      ["in the way", host.updateAvailable ? (whyNotUpdatable(host, tool.clock.now().getTime()) ?? "") : ""],
      ["platform", host.platform],
      ["enrolled", moment(host.enrolledAt)],
      ["install revision", host.installRevision === 0 ? "installed by hand" : String(host.installRevision)],
      ["to reinstall", host.needsReinstall ? reinstallCommand : ""],
    ]);
    tool.terminal.print("");
    const rows = jobs.map((job) => [
      moment(job.createdAt),
      `${job.fromVersion} → ${job.toVersion}`,
      stateCell(jobWord(job.state)),
      isFailure(job.state) ? SHORT_REASONS[job.reason] : "",
    ]);
    printTable(tool.terminal, ["ASKED FOR", "UPDATE", "STATE", "WHY"], rows, "It was never updated.");
  });
}

async function update(tool: Tool, word: string, options: UpdateOptions): Promise<void> {
  const server = await tool.connect();
  const host = await findHost(server, word);
  const ignoreQuarantine = options.ignoreQuarantine === true;
  const { job } = await server.fleet.updateHost({ hostId: host.id, ignoreQuarantine });
  if (job === undefined) throw new CommandError("The server answered without a job.", EXIT.serverFailed);
  if (options.wait) return await followJob(tool, server, job, host.hostname);
  show(tool, JobSchema, job, () => {
    tool.terminal.print(`${host.hostname} was told to update to ${job.toVersion}.`);
  });
}

async function cancel(tool: Tool, word: string): Promise<void> {
  const server = await tool.connect();
  const host = await findHost(server, word);
  const open = host.latestJob;
  if (open === undefined || !isOpen(open.state))
    throw new CommandError(`No update of ${host.hostname} is running.`, EXIT.failed, { reason: "job_ended" });
  const { job } = await server.fleet.cancelJob({ jobId: open.id });
  if (job === undefined) throw new CommandError("The server answered without a job.", EXIT.serverFailed);
  show(tool, JobSchema, job, () =>
    tool.terminal.print(`The update of ${host.hostname} is ${jobWord(job.state).word.toLowerCase()}.`),
  );
}

async function remove(tool: Tool, word: string, isSure: boolean): Promise<void> {
  const server = await tool.connect();
  const host = await findHost(server, word);
  const question = `Remove ${host.hostname} (${host.id})? Its agent is not let in again before it is enrolled anew. [y/N] `;
  if (!isSure && !isYes(await tool.ask(question))) throw new CommandError("Nothing was removed.", EXIT.failed);
  const answer = await server.fleet.removeHost({ hostId: host.id });
  show(tool, RemoveHostResponseSchema, answer, () => tool.terminal.print(`Removed ${host.hostname}.`));
}
