import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { fail, ok, warn, type Finding } from "../../gen/finding.ts";

const run = promisify(execFile);

/** What `install.sh` leaves behind, and what each is for. */
const SERVICES: readonly (readonly [unit: string, without: string])[] = [
  ["rollcall-agent.service", "This host does not report."],
  ["rollcall-agent-guard.service", "Nothing puts the version before back when an update fails."],
];

/** Do agent and guard run? */
export async function checkServices(): Promise<readonly Finding[]> {
  if (process.platform !== "linux") return [];
  const states = await Promise.all(SERVICES.map(([unit]) => readState(unit)));
  if (states.every((state) => state === undefined))
    return [
      warn(
        "services",
        "There is no systemd here.",
        "Have what starts the agent restart it always; nothing puts a failed update back.",
      ),
    ];
  return SERVICES.map(([unit, without], index) => judgeService(unit, states[index] ?? "unknown", without));
}

/** `state` is what `systemctl is-active` says. */
export function judgeService(unit: string, state: string, without: string): Finding {
  return state === "active"
    ? ok(unit, "Active.")
    : fail(unit, `It is ${state}. ${without}`, `systemctl status ${unit}, and journalctl -u ${unit}`);
}

/** *Shape*: `undefined` where nobody can be asked. */
async function readState(unit: string): Promise<string | undefined> {
  try {
    return (
      await run("systemctl", ["is-active", unit], { env: { PATH: "/usr/bin:/bin:/usr/sbin:/sbin" } })
    ).stdout.trim();
  } catch (error) {
    // It also tells a state by a status that is not 0; without systemd it tells none.
    const { stdout } = error as { readonly stdout?: string };
    return stdout?.trim() || undefined;
  }
}
