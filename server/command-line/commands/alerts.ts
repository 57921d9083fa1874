/** `alerts`: what somebody should look at. */
import { create } from "@bufbuild/protobuf";
import type { Command } from "commander";
import {
  AcknowledgeAlertResponseSchema,
  ListAlertsResponseSchema,
  type Alert,
} from "../../../gen/rollcall/v1/attention_pb.js";
import { alertAdvice, alertShape, alertTitle, type Named } from "../../../gen/words/alert-words.ts";
import type { Server } from "../connect.ts";
import { findOne, listHosts, shortId } from "../find-one.ts";
import { parseCount } from "../option-values.ts";
import { listAll } from "../pages.ts";
import { printTable } from "../table.ts";
import { printable } from "../terminal.ts";
import { show, type Tool } from "../tool.ts";
import { ago, stateCell } from "../words.ts";

/** Adds it. */
export function addAlerts(program: Command, tool: Tool): void {
  const alerts = program.command("alerts").description("what somebody should look at");
  alerts
    .command("list")
    .description("open alerts, newest first")
    .option("--all", "those that resolved too")
    .option("--limit <n>", "no more than so many", parseCount, 100)
    .action((options: { readonly all?: true; readonly limit: number }) =>
      list(tool, options.all === true, options.limit),
    );
  alerts
    .command("acknowledge <id>")
    .description("say that somebody looks at it; the beginning of its id will do")
    .action((word: string) => acknowledge(tool, word));
}

async function list(tool: Tool, isAll: boolean, limit: number): Promise<void> {
  const server = await tool.connect();
  const alerts = await listAlerts(server, !isAll, limit);
  if (tool.isJson())
    return show(tool, ListAlertsResponseSchema, create(ListAlertsResponseSchema, { alerts }), () => undefined);
  const named = await readNames(server, alerts);
  const rows = alerts.map((alert) => [
    shortId(alert.id),
    stateCell({ shape: alertShape(alert), word: standing(alert) }),
    ago(tool, alert.touchedAt),
    alertTitle(alert, named),
  ]);
  printTable(
    tool.terminal,
    ["ID", "STANDS", "LAST", "ALERT"],
    rows,
    isAll ? "There was no alert yet." : "No alert is open.",
  );
}

function standing(alert: Alert): string {
  if (alert.resolvedAt !== undefined) return "resolved";
  return alert.acknowledgedAt === undefined ? "open" : `acknowledged by ${alert.acknowledgedBy}`;
}

async function acknowledge(tool: Tool, word: string): Promise<void> {
  const server = await tool.connect();
  const { id } = findOne(await listAlerts(server, true), word, "open alert");
  const answer = await server.fleet.acknowledgeAlert({ alertId: id });
  const { alert } = answer;
  if (alert === undefined) return;
  const named = await readNames(server, [alert]);
  show(tool, AcknowledgeAlertResponseSchema, answer, () => {
    tool.terminal.print(printable(`Acknowledged: ${alertTitle(alert, named)}. ${alertAdvice(alert)}`));
  });
}

function listAlerts({ fleet }: Server, openOnly: boolean, limit?: number): Promise<Alert[]> {
  return listAll(async (page) => {
    const { alerts, nextPageToken } = await fleet.listAlerts({ ...page, openOnly });
    return { items: alerts, nextPageToken };
  }, limit);
}

/** What the titles of alerts name. */
async function readNames({ fleet }: Server, alerts: readonly Alert[]): Promise<Named> {
  if (alerts.length === 0) return { hosts: new Map(), fleetUpdates: [] };
  const ids = new Set(alerts.map(({ fleetUpdateId }) => fleetUpdateId).filter((id) => id !== ""));
  const halted = await Promise.all([...ids].map((fleetUpdateId) => fleet.getFleetUpdate({ fleetUpdateId })));
  const hosts = new Map((await listHosts(fleet)).map((host) => [host.id, host]));
  return { hosts, fleetUpdates: halted.flatMap(({ fleetUpdate }) => fleetUpdate ?? []) };
}
