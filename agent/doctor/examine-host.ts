/**
 * `rollcall-agent doctor`: looks for what would keep this host from staying connected
 * or from being updated, as the user that the agent runs as. It changes nothing.
 */
import { stat } from "node:fs/promises";
import { fail, ok, warn, type Finding } from "../../gen/finding.ts";
import { formatBytes } from "../../gen/words/quantities.ts";
import type { Clock } from "../clock.ts";
import type { AgentPaths } from "../command-line.ts";
import type { AgentConfig } from "../config.ts";
import { loadConfig, loadRoots } from "../config-file.ts";
import { loadIdentity } from "../identity.ts";
import { describeError } from "../log.ts";
import { OWN_INSTALL_REVISION } from "../own-trust.ts";
import { proxyAddress } from "../proxy/http-proxy.ts";
import { readBytesFree } from "../updater/disk-failure.ts";
import { readJournal } from "../updater/journal.ts";
import { checkLinuxFolders } from "../updater/linux-folders.ts";
import { updatePaths, type UpdatePaths } from "../updater/update-paths.ts";
import { checkReach } from "./check-reach.ts";
import { checkSelinux } from "./check-selinux.ts";
import { checkServices } from "./check-services.ts";
import { becomeServiceUser } from "./service-user.ts";

/** Looks at the host whose agent is at `binary`. */
export async function examineHost(paths: AgentPaths, binary: string, clock: Clock): Promise<readonly Finding[]> {
  // Before the user is another one: nobody but root may ask for some of it.
  const services = await checkServices();
  const user = await becomeServiceUser(paths.stateDir);
  const files = updatePaths(binary, paths.stateDir);
  const config = await readConfiguration(paths);
  const findings = [
    user,
    "check" in config ? config : ok("configuration", `${paths.configPath} names ${config.servers.join(", ")}.`),
    await checkIdentity(paths.stateDir),
    await checkFolders(files),
    await checkJournal(files),
    await checkSelinux(files.folder),
    ...services,
  ];
  if ("check" in config) return findings;
  return [
    ...findings,
    await checkRoom(files, config.reserveBytes),
    judgeRevision(config.installRevision, OWN_INSTALL_REVISION),
    ok(
      "proxy",
      config.httpsProxy === undefined
        ? "None: servers are reached directly."
        : `By ${proxyAddress(config.httpsProxy)}.`,
    ),
    await checkReach(paths, config, clock),
  ];
}

async function readConfiguration(paths: AgentPaths): Promise<AgentConfig | Finding> {
  try {
    const config = await loadConfig(paths.configPath);
    await loadRoots(config, paths.configPath);
    return config;
  } catch (error) {
    return fail("configuration", sentence(error), "Mend the file, or run the install line again.");
  }
}

async function checkIdentity(stateDir: string): Promise<Finding> {
  try {
    return ok("identity", `This is host ${(await loadIdentity(stateDir)).hostId}.`);
  } catch (error) {
    return fail("identity", sentence(error), "Without it no server lets this host in.");
  }
}

/** The same look that an update takes before a byte is fetched. */
async function checkFolders(files: UpdatePaths): Promise<Finding> {
  const check = "folders";
  if (process.platform !== "linux") return ok(check, "Looked at by an update itself on this system.");
  try {
    await checkLinuxFolders(files);
    return ok(check, `${files.folder} and ${files.stateDir} can be written and run from.`);
  } catch (error) {
    return fail(
      check,
      sentence(error),
      "No update can be put in place before that is mended; see the unit's ReadWritePaths too.",
    );
  }
}

async function checkJournal(files: UpdatePaths): Promise<Finding> {
  try {
    const journal = await readJournal(files);
    if (journal === undefined) return ok("last update", "There was none yet.");
    const { state, fromVersion, toVersion } = journal;
    const told = `${fromVersion} → ${toVersion}: ${state.replace("_", " ")}.`;
    return state === "unconfirmed"
      ? warn("last update", told, "The guard decides within a minute; look again then.")
      : ok("last update", told);
  } catch (error) {
    return fail("last update", sentence(error), `Look at ${files.journal}.`);
  }
}

/** Room for the new version beside this one, and for what must stay free. */
async function checkRoom({ binary, folder }: UpdatePaths, reserveBytes: number): Promise<Finding> {
  const check = "disk";
  try {
    const freeBytes = Number(await readBytesFree(folder));
    const neededBytes = (await stat(binary)).size + reserveBytes;
    const told = `${formatBytes(freeBytes)} are free under ${folder}, and an update needs about ${formatBytes(neededBytes)}.`;
    return freeBytes < neededBytes
      ? fail(check, told, `Free ${formatBytes(neededBytes - freeBytes)} there.`)
      : ok(check, told);
  } catch (error) {
    return fail(check, sentence(error), "Look at the folder.");
  }
}

/** Unit and guard against those that this build goes with. `own` is `undefined` where the build does not say. */
export function judgeRevision(installed: number, own: number | undefined): Finding {
  const check = "units";
  if (installed === 0)
    return warn(
      check,
      "This host was installed by hand; nobody knows which unit and guard it has.",
      "The install line brings both.",
    );
  if (own !== undefined && installed < own)
    return fail(
      check,
      `Unit and guard are of revision ${installed}, and this version goes with ${own}.`,
      "Run the install line without a token, as the host's page shows it.",
    );
  return ok(check, `Unit and guard are of revision ${installed}.`);
}

function sentence(error: unknown): string {
  const text = describeError(error);
  return `${text.charAt(0).toUpperCase()}${text.slice(1).replace(/\.$/, "")}.`;
}
