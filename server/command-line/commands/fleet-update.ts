/** `fleet-update`: rolling updates, from what would be done to how it ended. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Option, type Command } from "commander";
import {
  FleetUpdateHostState,
  FleetUpdateSchema,
  FleetUpdateState,
  GetFleetUpdateResponseSchema,
  ListFleetUpdatesResponseSchema,
  OfflinePolicy,
  StartFleetUpdateResponseSchema,
  type FleetUpdate,
  type FleetUpdateHost,
  type StartFleetUpdateRequestSchema,
} from "../../../gen/rollcall/v1/rollout_pb.js";
import type { LabelWords } from "../../../gen/labels.ts";
import { shortReason } from "../../../gen/short-reason.ts";
import { fleetUpdateWord, memberWord } from "../../../gen/words/job-words.ts";
import { count } from "../../../gen/words/quantities.ts";
import { isYes } from "../ask.ts";
import { CommandError } from "../command-error.ts";
import type { Server } from "../connect.ts";
import { EXIT } from "../exit-status.ts";
import { findHost, findOne, shortId } from "../find-one.ts";
import { followFleetUpdate, tally } from "../follow-fleet-update.ts";
import { parseCount, parseLabel } from "../option-values.ts";
import { listAll } from "../pages.ts";
import { printFacts, printTable } from "../table.ts";
import { show, toJson, type Tool } from "../tool.ts";
import { moment, stateCell } from "../words.ts";

interface StartOptions {
  readonly atOnce?: number;
  readonly failures?: number;
  readonly offline?: "halt" | "skip";
  readonly label?: readonly LabelWords[];
  readonly yes?: true;
  readonly dryRun?: true;
  readonly wait: boolean;
}

type StartRequest = MessageInitShape<typeof StartFleetUpdateRequestSchema>;

/** Adds it. */
export function addFleetUpdate(program: Command, tool: Tool): void {
  const group = program
    .command("fleet-update")
    .description("rolling updates; ID may be left out for the newest one, and its beginning will do");
  startable(group.command("start [host...]"))
    .option("--label <key=value>", "only hosts that have it; said several times, all of them", parseLabel)
    .description("update these hosts in this order, or every online host that is behind")
    .action((words: readonly string[], options: StartOptions) => start(tool, words, options));
  startable(group.command("again [id]"))
    .description("a new fleet update of the hosts of a former one that did not succeed")
    .action((word: string | undefined, options: StartOptions) => again(tool, word, options));
  group
    .command("watch [id]")
    .description("follow it to its end")
    .action(async (word: string | undefined) => {
      const server = await tool.connect();
      await followFleetUpdate(tool, server, (await findFleetUpdate(server, word)).id);
    });
  group
    .command("show [id]")
    .description("one fleet update and its hosts")
    .action((word: string | undefined) => showOne(tool, word));
  group
    .command("list")
    .description("all of them, newest first")
    .option("--limit <n>", "no more than so many", parseCount, 20)
    .action((options: { readonly limit: number }) => list(tool, options.limit));
  group
    .command("cancel [id]")
    .description("send nothing more, and call off what is not committed")
    .option("-y, --yes", "do not ask")
    .action((word: string | undefined, options: { readonly yes?: true }) => cancel(tool, word, options.yes === true));
}

function startable(command: Command): Command {
  return command
    .option("--at-once <n>", "hosts that update at once (1)", parseCount)
    .option("--failures <n>", "failures that are borne before it halts (0)", parseCount)
    .addOption(new Option("--offline <policy>", "what an offline host does (halt)").choices(["halt", "skip"]))
    .option("--dry-run", "only say what would be done")
    .option("-y, --yes", "do not ask")
    .option("--no-wait", "only start it");
}

async function start(tool: Tool, words: readonly string[], options: StartOptions): Promise<void> {
  const server = await tool.connect();
  const hostIds: string[] = [];
  for (const word of words) hostIds.push((await findHost(server, word)).id);
  await plan(tool, server, { hostIds, labels: [...(options.label ?? [])], policy: policyOf(options) }, options);
}

async function again(tool: Tool, word: string | undefined, options: StartOptions): Promise<void> {
  const server = await tool.connect();
  const former = await findFleetUpdate(server, word);
  const { maxInFlight, maxFailures, offline } = former.policy ?? { maxInFlight: 0, maxFailures: 0, offline: 0 };
  const policy = { maxInFlight, maxFailures, offline, ...policyOf(options) };
  await plan(tool, server, { retryOf: former.id, policy }, options);
}

function policyOf({ atOnce, failures, offline }: StartOptions) {
  return {
    ...(atOnce === undefined ? {} : { maxInFlight: atOnce }),
    ...(failures === undefined ? {} : { maxFailures: failures }),
    ...(offline === undefined ? {} : { offline: offline === "skip" ? OfflinePolicy.SKIP : OfflinePolicy.HALT }),
  };
}

/** Shows what would be done, asks, does it. What is started is what was shown: the same hosts in the same order. */
async function plan(tool: Tool, server: Server, request: StartRequest, options: StartOptions): Promise<void> {
  const preview = await server.fleet.startFleetUpdate({ ...request, validateOnly: true });
  if (options.dryRun === true)
    return show(tool, StartFleetUpdateResponseSchema, preview, () => tellPlan(tool, preview));
  if (!tool.isJson()) tellPlan(tool, preview);
  if (options.yes !== true && !isYes(await tool.ask("Start it? [y/N] ")))
    throw new CommandError("Nothing was started.", EXIT.failed);
  const shown = request.retryOf === undefined ? { hostIds: preview.hosts.map(({ hostId }) => hostId) } : {};
  const started = await server.fleet.startFleetUpdate({ ...request, ...shown });
  if (started.fleetUpdate === undefined) throw new CommandError("The server started nothing.", EXIT.serverFailed);
  const { id } = started.fleetUpdate;
  show(tool, StartFleetUpdateResponseSchema, started, () =>
    tool.terminal.print(`Started fleet update ${shortId(id)}.`),
  );
  if (options.wait) await followFleetUpdate(tool, server, id);
}

function tellPlan(
  { terminal }: Tool,
  { fleetUpdate, hosts }: { fleetUpdate?: FleetUpdate; hosts: FleetUpdateHost[] },
): void {
  if (fleetUpdate === undefined) return;
  const { toVersion, policy } = fleetUpdate;
  const rows = hosts.map((host) => [
    String(host.position + 1),
    host.hostname,
    `${host.fromVersion} → ${toVersion}`,
    host.state === FleetUpdateHostState.PENDING
      ? ""
      : `${memberWord(host.state, FleetUpdateState.RUNNING).word.toLowerCase()}: ${shortReason(host.reason).toLowerCase()}`,
  ]);
  printTable(terminal, ["", "HOST", "UPDATE", ""], rows, "There is no host to update.");
  const atOnce = policy?.maxInFlight || 1;
  const borne = policy?.maxFailures ?? 0;
  const offline = policy?.offline === OfflinePolicy.SKIP ? "an offline host is skipped" : "an offline host halts it";
  terminal.print(
    `${count(hosts.length, "host")}, ${atOnce === 1 ? "one" : atOnce} at a time; it halts ${borne === 0 ? "at the first failure" : `after ${count(borne + 1, "failure")}`}, and ${offline}.`,
  );
}

async function showOne(tool: Tool, word: string | undefined): Promise<void> {
  const server = await tool.connect();
  const { id } = await findFleetUpdate(server, word);
  const answer = await server.fleet.getFleetUpdate({ fleetUpdateId: id });
  const { fleetUpdate: update, hosts } = answer;
  show(tool, GetFleetUpdateResponseSchema, answer, () => {
    if (update === undefined) return;
    printFacts(tool.terminal, [
      ["fleet update", update.id],
      ["to", update.toVersion],
      ["state", stateCell(fleetUpdateWord(update.state))],
      ["halted", update.haltReason === "" ? "" : shortReason(update.haltReason)],
      ["hosts", tally(update)],
      ["started", `${moment(update.createdAt)} by ${update.startedBy}`],
      ["ended", moment(update.endedAt)],
      ["again after", update.retryOf],
    ]);
    tool.terminal.print("");
    const rows = hosts.map((host) => [
      String(host.position + 1),
      host.hostname,
      stateCell(memberWord(host.state, update.state)),
      host.fromVersion,
      host.reason === "" ? "" : shortReason(host.reason),
    ]);
    printTable(tool.terminal, ["", "HOST", "STATE", "FROM", "WHY"], rows, "It has no hosts.");
  });
}

async function list(tool: Tool, limit: number): Promise<void> {
  const fleetUpdates = await listFleetUpdates(await tool.connect(), limit);
  show(tool, ListFleetUpdatesResponseSchema, create(ListFleetUpdatesResponseSchema, { fleetUpdates }), () => {
    const rows = fleetUpdates.map((update) => [
      shortId(update.id),
      stateCell(fleetUpdateWord(update.state)),
      update.toVersion,
      moment(update.createdAt),
      update.startedBy,
      tally(update),
    ]);
    printTable(tool.terminal, ["ID", "STATE", "TO", "STARTED", "BY", "HOSTS"], rows, "There was no fleet update yet.");
  });
}

async function cancel(tool: Tool, word: string | undefined, isSure: boolean): Promise<void> {
  const server = await tool.connect();
  const found = await findFleetUpdate(server, word);
  const question = `Cancel fleet update ${shortId(found.id)} to ${found.toVersion} (${tally(found)})? [y/N] `;
  if (!isSure && !isYes(await tool.ask(question))) throw new CommandError("Nothing was cancelled.", EXIT.failed);
  const { fleetUpdate } = await server.fleet.cancelFleetUpdate({ fleetUpdateId: found.id });
  if (fleetUpdate === undefined) throw new CommandError("The server cancelled nothing.", EXIT.serverFailed);
  if (tool.isJson()) tool.terminal.print(toJson(FleetUpdateSchema, fleetUpdate));
  else tool.terminal.print(`Cancelled: ${tally(fleetUpdate)}.`);
}

function listFleetUpdates({ fleet }: Server, limit?: number): Promise<FleetUpdate[]> {
  return listAll(async (page) => {
    const { fleetUpdates, nextPageToken } = await fleet.listFleetUpdates(page);
    return { items: fleetUpdates, nextPageToken };
  }, limit);
}

/** The one that is meant, or the newest. *Throws* CommandError when there is none. */
async function findFleetUpdate(server: Server, word: string | undefined): Promise<FleetUpdate> {
  if (word !== undefined) return findOne(await listFleetUpdates(server), word, "fleet update");
  const [newest] = await listFleetUpdates(server, 1);
  if (newest === undefined) throw new CommandError("There was no fleet update yet.", EXIT.failed);
  return newest;
}
