/** `releases`: what the server can bring to hosts, and what they should run. */
import type { Command } from "commander";
import {
  ImportReleaseResponseSchema,
  LiftQuarantineResponseSchema,
  ListReleasesResponseSchema,
  RemoveReleaseResponseSchema,
  SetTargetVersionResponseSchema,
  type Release,
} from "../../../gen/rollcall/v1/catalog_pb.js";
import { readReleaseFolder, UnreadableReleaseError, uploadRelease } from "../../../gen/release-upload.ts";
import { formatBytes } from "../../../gen/words/quantities.ts";
import { isYes } from "../ask.ts";
import { CommandError, usageError } from "../command-error.ts";
import { NO_LIMIT } from "../connect.ts";
import { EXIT } from "../exit-status.ts";
import { printTable } from "../table.ts";
import { printable } from "../terminal.ts";
import { show, type Tool } from "../tool.ts";
import { moment, stateCell } from "../words.ts";

/** Adds it. */
export function addReleases(program: Command, tool: Tool): void {
  const releases = program.command("releases").description("what the server can bring to hosts");
  releases
    .command("list")
    .description("all of them, highest sequence first")
    .action(() => list(tool));
  releases
    .command("import <folder>")
    .description("bring a built and signed release to the server, which takes all of it or nothing")
    .action((folder: string) => importFolder(tool, folder));
  releases
    .command("set-target [version]")
    .description("choose what the fleet should run; no host is updated by it")
    .option("--follow", "follow the server's own version again")
    .action((version: string | undefined, options: { readonly follow?: true }) =>
      setTarget(tool, version, options.follow === true),
    );
  releases
    .command("remove <version>")
    .description("delete one that is neither the target nor in use")
    .option("-y, --yes", "do not ask")
    .action((version: string, options: { readonly yes?: true }) => remove(tool, version, options.yes === true));
  releases
    .command("lift-quarantine <version> <platform>")
    .description("let its build for a platform be sent again, and forget where it rolled back")
    .action((version: string, platform: string) => liftQuarantine(tool, version, platform));
}

async function list(tool: Tool): Promise<void> {
  const { fleet } = await tool.connect();
  const answer = await fleet.listReleases({});
  show(tool, ListReleasesResponseSchema, answer, () => {
    const rows = answer.releases.map((release) => [
      release.version,
      String(release.sequence),
      release.target ? stateCell({ shape: "current", word: "target" }) : "",
      moment(release.importedAt),
      `${release.keyLabel || release.keyId}${release.development ? " (development)" : ""}`,
      release.artifacts
        .map(({ platform, quarantined }) => `${platform}${quarantined ? " (quarantined)" : ""}`)
        .join(", "),
    ]);
    printTable(
      tool.terminal,
      ["VERSION", "NO.", "", "IMPORTED", "SIGNED BY", "PLATFORMS"],
      rows,
      "There are no releases yet.",
    );
  });
}

async function importFolder(tool: Tool, folder: string): Promise<void> {
  const { terminal } = tool;
  try {
    const release = await readReleaseFolder(folder);
    const { fleet } = await tool.connect();
    const answer = await uploadRelease(
      release,
      (messages) => fleet.importRelease(messages, NO_LIMIT),
      (file, percent, sizeBytes) =>
        terminal.showStatus(printable(`${file}: ${percent} % of ${formatBytes(sizeBytes)} sent`)),
    );
    terminal.showStatus("");
    show(tool, ImportReleaseResponseSchema, answer, () => tellImported(tool, answer.release));
  } catch (error) {
    if (error instanceof UnreadableReleaseError) throw usageError(error.message, error);
    throw error;
  }
}

function tellImported({ terminal }: Tool, release: Release | undefined): void {
  if (release === undefined) return;
  const { version, sequence, keyId, keyLabel, development, target } = release;
  const signer = `${keyId}${keyLabel === "" ? "" : ` (${keyLabel})`}`;
  terminal.print(printable(`Imported ${version}, sequence ${sequence}, signed by key ${signer}.`));
  if (development) terminal.print("It is signed with development keys: anybody can sign for hosts that take them.");
  if (target) terminal.print("It is the target version.");
}

async function setTarget(tool: Tool, version: string | undefined, isFollowing: boolean): Promise<void> {
  if ((version === undefined) !== isFollowing) throw usageError("Name a version, or say --follow.");
  const { fleet } = await tool.connect();
  const answer = await fleet.setTargetVersion({ version: version ?? "" });
  show(tool, SetTargetVersionResponseSchema, answer, () => {
    const target = answer.release?.version ?? "";
    tool.terminal.print(
      printable(
        target === ""
          ? "The fleet has no target until the server's own version is imported."
          : `The target is ${target}.`,
      ),
    );
  });
}

async function remove(tool: Tool, version: string, isSure: boolean): Promise<void> {
  const { fleet } = await tool.connect();
  if (
    !isSure &&
    !isYes(await tool.ask(`Remove release ${version}? Only the same bytes can be imported under it again. [y/N] `))
  )
    throw new CommandError("Nothing was removed.", EXIT.failed);
  const answer = await fleet.removeRelease({ version });
  show(tool, RemoveReleaseResponseSchema, answer, () => tool.terminal.print(printable(`Removed ${version}.`)));
}

async function liftQuarantine(tool: Tool, version: string, platform: string): Promise<void> {
  const { fleet } = await tool.connect();
  const release = (await fleet.listReleases({})).releases.find((one) => one.version === version);
  const artifact = release?.artifacts.find((one) => one.platform === platform);
  if (artifact === undefined) throw new CommandError(`There is no build of ${version} for ${platform}.`, EXIT.failed);
  const answer = await fleet.liftQuarantine({ sha256: artifact.sha256 });
  show(tool, LiftQuarantineResponseSchema, answer, () => {
    tool.terminal.print(printable(`${version} may be sent to ${platform} again.`));
  });
}
