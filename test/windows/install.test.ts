import { access, copyFile, readFile, rm } from "node:fs/promises";
import { hostname } from "node:os";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { explainNoWine } from "./explain-no-wine.ts";
import { buildStandInCurl } from "./stand-in-curl.ts";
import { HOME, WindowsFleet } from "./windows-fleet.ts";
import type { WineMachine } from "./wine-machine.ts";

const reasonToSkip = await explainNoWine();
const CURL = "windows/system32/curl.exe";
const TASK = "windows/system32/tasks/Rollcall agent";
/** Wine keeps tasks, but neither starts nor ends them. */
const START_UP_TASK = [
  ":wait",
  "%SystemRoot%\\System32\\ping.exe -n 3 127.0.0.1 >nul",
  `if not exist "%SystemRoot%\\System32\\Tasks\\Rollcall agent" goto wait`,
  `"%ProgramFiles%\\Rollcall\\update.cmd"`,
];

function endTask(machine: WineMachine): Promise<void> {
  return machine.end("cmd.exe", "rollcall-agent.exe");
}

describe.skipIf(reasonToSkip !== undefined)(
  `install.cmd under Wine${reasonToSkip === undefined ? "" : ` (skipped: ${reasonToSkip})`}`,
  { timeout: 600_000 },
  () => {
    let fleet: WindowsFleet;
    let curl: string;

    beforeAll(async () => {
      fleet = await WindowsFleet.start(AbortSignal.timeout(1_800_000));
      await fleet.setTarget(fleet.builds.older.version);
      curl = await buildStandInCurl();
    }, 1_800_000);
    afterAll(() => fleet?.[Symbol.asyncDispose](), 60_000);

    const addMachine = async (name: string): Promise<WineMachine> => {
      const machine = await fleet.addMachine(name);
      await copyFile(curl, machine.path(CURL));
      return machine;
    };
    const isThere = (machine: WineMachine, path: string): Promise<boolean> =>
      access(machine.path(path)).then(
        () => true,
        () => false,
      );

    it("the line makes a machine a host, renews it without a token, and takes the agent away again", async () => {
      const machine = await addMachine("installed");
      const { windowsInstallCommand } = await fleet.server.fleet.createEnrollmentToken({ label: "installed" });
      await machine.start(START_UP_TASK);
      const installed = await machine.run([windowsInstallCommand]);
      expect(installed).toMatchObject({ status: 0 });
      expect(installed.output).toContain(
        "this host runs the agent, which is experimental on Windows, and is connected",
      );
      const host = await fleet.untilOnline(hostname(), fleet.builds.older.version);
      expect(await isThere(machine, `${HOME}/install`)).toBe(false);

      const identity = await readFile(machine.path(`${HOME}/state/credential.json`), "utf8");
      const { reinstallCommand } = await fleet.server.fleet.getHost({ hostId: host.id });
      expect(reinstallCommand).not.toContain("TOKEN");
      await endTask(machine);
      // Made anew by the line, and waited for by what stands for it here.
      await rm(machine.path(TASK));
      await machine.start(START_UP_TASK);
      expect(await machine.run([reinstallCommand])).toMatchObject({ status: 0 });
      expect(await readFile(machine.path(`${HOME}/state/credential.json`), "utf8")).toBe(identity);

      await endTask(machine);
      const removed = await machine.run([`"%ProgramFiles%\\rollcall-install.cmd" --uninstall`]);
      expect(removed.output).toContain("the agent is uninstalled");
      expect([await isThere(machine, HOME), await isThere(machine, TASK)]).toEqual([false, false]);
    });

    it("a token that is no good leaves nothing behind", async () => {
      const machine = await addMachine("refused");
      const { windowsInstallCommand, token } = await fleet.server.fleet.createEnrollmentToken({ label: "refused" });
      const refused = await machine.run([windowsInstallCommand.replace(token, "rc_enroll_unknown")]);
      expect(refused.status).toBe(1);
      expect(refused.output).toContain("the token is unknown, used up or expired");
      expect(await isThere(machine, HOME)).toBe(false);
    });
  },
);
