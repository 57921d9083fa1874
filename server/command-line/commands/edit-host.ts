/** `hosts edit`: what people call a host, and what they say of it. */
import type { Command } from "commander";
import { formatLabels, type LabelWords } from "../../../gen/labels.ts";
import { EditHostResponseSchema } from "../../../gen/rollcall/v1/fleet_pb.js";
import { nameOf } from "../../../gen/words/host-name.ts";
import { usageError } from "../command-error.ts";
import { findHost } from "../find-one.ts";
import { parseLabel } from "../option-values.ts";
import { printable } from "../terminal.ts";
import { show, type Tool } from "../tool.ts";

interface EditOptions {
  readonly name?: string;
  readonly label?: readonly LabelWords[];
  readonly removeLabel?: readonly string[];
}

/** Adds it. */
export function addEditHost(hosts: Command, tool: Tool): void {
  hosts
    .command("edit <host>")
    .description("name and label a host; what is not said stays")
    .option("--name <name>", "what people call it; an empty one for its hostname")
    .option("--label <key=value>", "give it this label; may be said several times", parseLabel)
    .option("--remove-label <key...>", "take these labels away")
    .action((word: string, options: EditOptions) => edit(tool, word, options));
}

async function edit(tool: Tool, word: string, { name, label = [], removeLabel = [] }: EditOptions): Promise<void> {
  if (name === undefined && label.length + removeLabel.length === 0)
    throw usageError("Say what to change: --name, --label or --remove-label.");
  const server = await tool.connect();
  const { id } = await findHost(server, word);
  const answer = await server.fleet.editHost({
    hostId: id,
    ...(name === undefined ? {} : { displayName: name }),
    setLabels: [...label],
    removeLabels: [...removeLabel],
  });
  const { host } = answer;
  if (host === undefined) return;
  show(tool, EditHostResponseSchema, answer, () => {
    const labels = host.labels.length === 0 ? "no labels" : formatLabels(host.labels);
    tool.terminal.print(printable(`${nameOf(host)}: ${labels}`));
  });
}
