import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Kysely } from "kysely";
import { fail, ok, warn, type Finding } from "../../gen/finding.ts";
import type { Clock } from "../domain/clock.ts";
import { readDatabaseTime } from "../store/examine.ts";
import type { Db } from "../store/schema.ts";

const run = promisify(execFile);

/** *Units*: milliseconds. Nothing is decided by their difference, but people read both. */
const GREATEST_DIFFERENCE_MS = 5_000;

/** Is this machine's clock kept right, and does the database's say the same? */
export async function checkClock(clock: Clock, db: Kysely<Db> | undefined): Promise<Finding> {
  const differenceMs = db === undefined ? 0 : await compare(clock, db);
  return judgeClock(differenceMs, await askWhetherSynchronised());
}

/** `isSynchronised` is `undefined` where nobody tells. */
export function judgeClock(differenceMs: number, isSynchronised: boolean | undefined): Finding {
  const check = "clock";
  if (Math.abs(differenceMs) > GREATEST_DIFFERENCE_MS)
    return fail(
      check,
      `It is ${(Math.abs(differenceMs) / 1000).toFixed(1)} s ${differenceMs > 0 ? "ahead of" : "behind"} the database's.`,
      "Have both machines synchronised by NTP.",
    );
  if (isSynchronised === false)
    return warn(
      check,
      "It is not synchronised.",
      "timedatectl set-ntp true, or have chrony run: certificates are judged by it.",
    );
  return ok(
    check,
    isSynchronised === true
      ? "It is synchronised."
      : "It agrees with the database's; nothing here tells whether it is synchronised.",
  );
}

async function compare(clock: Clock, db: Kysely<Db>): Promise<number> {
  const before = clock.now().getTime();
  const there = (await readDatabaseTime(db)).getTime();
  return (before + clock.now().getTime()) / 2 - there;
}

async function askWhetherSynchronised(): Promise<boolean | undefined> {
  try {
    const { stdout } = await run("timedatectl", ["show", "--property=NTPSynchronized", "--value"], { timeout: 5_000 });
    const answer = stdout.trim();
    return answer === "yes" ? true : answer === "no" ? false : undefined;
  } catch {
    // No systemd here.
    return undefined;
  }
}
