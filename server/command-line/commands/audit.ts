/** `audit`: what was done by whom, and whether the log was left as it was. */
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Command } from "commander";
import { CheckAuditLogResponseSchema } from "../../../gen/rollcall/v1/account_pb.js";
import { ListAuditEventsResponseSchema, type AuditEvent } from "../../../gen/rollcall/v1/attention_pb.js";
import { auditSubject, auditWhy } from "../../../gen/words/audit-story.ts";
import { auditTitle } from "../../../gen/words/audit-words.ts";
import { CommandError } from "../command-error.ts";
import type { Server } from "../connect.ts";
import { EXIT } from "../exit-status.ts";
import { findHost, shortId } from "../find-one.ts";
import { parseCount } from "../option-values.ts";
import { listAll } from "../pages.ts";
import { printTable } from "../table.ts";
import { show, type Tool } from "../tool.ts";
import { moment } from "../words.ts";

interface ListOptions {
  readonly host?: string;
  readonly job?: string;
  readonly fleetUpdate?: string;
  readonly action?: string;
  readonly actor?: string;
  readonly limit: number;
}

/** Adds it. */
export function addAudit(program: Command, tool: Tool): void {
  const audit = program.command("audit").description("the audit log");
  audit
    .command("list")
    .description("its entries, newest first")
    .option("--host <host>", "about this host")
    .option("--job <id>", "about this job")
    .option("--fleet-update <id>", "about this fleet update")
    .option("--action <action>", "such as host.enrolled, or a group such as host.")
    .option("--actor <name>", "by this user or token")
    .option("--limit <n>", "no more than so many", parseCount, 50)
    .action((options: ListOptions) => list(tool, options));
  audit
    .command("check")
    .description("compare the log with its seals")
    .option("--digest <digest>", "the digest of a seal that was written down elsewhere")
    .action((options: { readonly digest?: string }) => check(tool, options.digest ?? ""));
}

async function list(tool: Tool, options: ListOptions): Promise<void> {
  const server = await tool.connect();
  const query = {
    hostId: options.host === undefined ? "" : (await findHost(server, options.host)).id,
    jobId: options.job ?? "",
    fleetUpdateId: options.fleetUpdate ?? "",
    actionPrefix: options.action ?? "",
    actor: options.actor ?? "",
  };
  const events = await listAll(async (page) => {
    const answer = await server.fleet.listAuditEvents({ ...query, ...page });
    return { items: answer.events, nextPageToken: answer.nextPageToken };
  }, options.limit);
  if (tool.isJson())
    return show(
      tool,
      ListAuditEventsResponseSchema,
      create(ListAuditEventsResponseSchema, { events }),
      () => undefined,
    );
  const names = await readHostnames(server, events);
  const rows = events.map((event) => [
    moment(event.at),
    event.actor,
    auditTitle(event),
    [names.get(event.hostId) ?? "", auditSubject(event)?.text ?? ""].filter((text) => text !== "").join("  "),
    auditWhy(event),
  ]);
  printTable(tool.terminal, ["AT", "BY", "WHAT", "ABOUT", "WHY"], rows, "No entry is like that.");
}

/** Hostnames by id; of a host that was removed the beginning of its id. */
async function readHostnames({ fleet }: Server, events: readonly AuditEvent[]): Promise<ReadonlyMap<string, string>> {
  const ids = new Set(events.map(({ hostId }) => hostId).filter((id) => id !== ""));
  const named = await Promise.all(
    [...ids].map(async (hostId) => {
      try {
        return [hostId, (await fleet.getHost({ hostId })).host?.hostname ?? shortId(hostId)] as const;
      } catch (error) {
        if (ConnectError.from(error).code !== Code.NotFound) throw error;
        return [hostId, shortId(hostId)] as const;
      }
    }),
  );
  return new Map(named);
}

async function check(tool: Tool, knownDigest: string): Promise<void> {
  const { account } = await tool.connect();
  const answer = await account.checkAuditLog({ knownDigest });
  const { head, firstBroken, knownDigestFound } = answer;
  show(tool, CheckAuditLogResponseSchema, answer, () => {
    if (head === undefined) tool.terminal.print("There is no seal yet.");
    else tool.terminal.print(`The newest seal ends with entry ${head.toId}: ${head.digest}`);
  });
  if (firstBroken !== undefined)
    throw new CommandError(
      `The log was changed: entries ${firstBroken.fromId} to ${firstBroken.toId} are not those that were sealed at ${moment(firstBroken.sealedAt)}.`,
      EXIT.failed,
    );
  if (knownDigest !== "" && !knownDigestFound)
    throw new CommandError("The log was replaced: the digest that you know is none of its seals'.", EXIT.failed);
}
