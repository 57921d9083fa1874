/**
 * `rollcall doctor server`: looks at the server of this machine from outside of its
 * process, with the settings that it is started with. It changes nothing.
 */
import { ConfigError, readConfig, type Config } from "../config.ts";
import type { Clock } from "../domain/clock.ts";
import { fail, ok, type Finding } from "../../gen/finding.ts";
import { checkCertificates } from "./check-certificates.ts";
import { checkClock } from "./check-clock.ts";
import { checkDatabase } from "./check-database.ts";
import { checkDisk } from "./check-disk.ts";
import { checkKeys } from "./check-keys.ts";
import { checkListeners } from "./check-listeners.ts";
import { checkReleases } from "./check-releases.ts";

/** Everything, in an order in which what comes first may explain what comes later. */
export async function examineServer(
  environment: Readonly<Record<string, string | undefined>>,
  clock: Clock,
): Promise<readonly Finding[]> {
  const config = parseSettings(environment);
  if (config instanceof ConfigError)
    return [fail("settings", config.message, "Mend the setting; no server starts with it.")];
  const database = await checkDatabase(config);
  try {
    return [
      ok("settings", `Data in ${config.dataDir}, releases in ${config.releasesDir}.`),
      ...(await checkKeys(config.dataDir)),
      ...(await checkCertificates(config, clock.now())),
      ...(await checkDisk(config)),
      ...database.findings,
      await checkClock(clock, database.db),
      ...(await checkListeners(config)),
      ...(database.db === undefined ? [] : await checkReleases(config, database.db)),
    ];
  } finally {
    await database.db?.destroy();
  }
}

function parseSettings(environment: Readonly<Record<string, string | undefined>>): Config | ConfigError {
  try {
    return readConfig([], environment);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
}
