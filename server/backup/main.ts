/** `npm run backup -- FILE` and `npm run restore -- FILE`. */
import { dirname } from "node:path";
import { builtVersion, computeVersion } from "../../gen/version.ts";
import { systemClock as clock, systemRandom as random } from "../clock-system.ts";
import { ConfigError } from "../config.ts";
import { backUp } from "./back-up.ts";
import { readCommand, type BackupCommand } from "./command.ts";
import { restore } from "./restore.ts";

const stopping = new AbortController();
for (const name of ["SIGTERM", "SIGINT"] as const)
  process.on(name, () => stopping.abort(new Error("stopped; nothing is left of it")));

try {
  const command = await readCommand(process.argv.slice(2), process.env);
  await (command.verb === "backup" ? takeBackup(command) : restoreBackup(command));
} catch (error) {
  process.stderr.write(`rollcall: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = error instanceof ConfigError ? 2 : 1;
}

async function takeBackup({ place, config, settings }: BackupCommand): Promise<void> {
  const version = config.version ?? builtVersion() ?? computeVersion(dirname(dirname(import.meta.dirname)));
  const { rows, files, manifest } = await backUp({
    place,
    config,
    settings,
    version,
    clock,
    random,
    signal: stopping.signal,
  });
  say(`${place.path} holds ${rows} rows and ${files} files, and was read back.`);
  if (place.passphrase === undefined)
    say("It is not encrypted: whoever can read it can speak for this server and every host. Keep it where nobody can.");
  if (manifest.wasServed) say("A server ran meanwhile; to move an installation, stop it first and take another.");
}

async function restoreBackup({ place, config, isMove }: BackupCommand): Promise<void> {
  const { rows, manifest, settled, settingsPath } = await restore({
    place,
    config,
    isMove,
    clock,
    signal: stopping.signal,
  });
  say(`${rows} rows of ${manifest.takenAt} were restored into ${config.dataDir}.`);
  if (settled === undefined) say("Updates that were under way go on once a server starts.");
  else
    say(
      `Cancelled, since nobody knows how they ended: ${count(settled.cancelledJobs, "job")}, ` +
        `${count(settled.cancelledFleetUpdates, "fleet update")}. ` +
        "People sign in again, and enrolment tokens are made anew.",
    );
  say(`The settings of then stand in ${settingsPath}. Releases are not part of a backup: import them again.`);
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

function say(sentence: string): void {
  process.stdout.write(`${sentence}\n`);
}
