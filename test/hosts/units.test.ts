import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, it } from "vitest";
import { repositoryRoot } from "../toolchain/repository-root.ts";
import { GREATEST_EXPOSURE } from "./exposure.ts";

const SERVICES = [
  "agent/units/rollcall-agent.service",
  "agent/units/rollcall-agent-guard.service",
  "server/rollcall-server.service",
];

/** *Shape*: `undefined` when the program is there, else the line that says what to install. */
function explainMissing(program: string, debianPackage: string): string | undefined {
  if (spawnSync(program, ["--version"]).error === undefined) return undefined;
  return `${program} missing; run: sudo apt-get install --no-install-recommends ${debianPackage}`;
}

function readUnit(path: string): string {
  return readFileSync(join(repositoryRoot, path), "utf8");
}

/** The values of a setting, in their order. */
function settings(path: string, name: string): readonly string[] {
  return [...readUnit(path).matchAll(new RegExp(`^${name}=(.*)$`, "gm"))].map(([, value = ""]) => value);
}

const noSystemd = explainMissing("systemd-analyze", "systemd");
describe.skipIf(noSystemd !== undefined)(`exposure${noSystemd === undefined ? "" : ` (skipped: ${noSystemd})`}`, () => {
  it.each(SERVICES)(`of %s is at most ${GREATEST_EXPOSURE}`, (path) => {
    const analysis = ["security", "--offline=true", "--no-pager", join(repositoryRoot, path)];
    const { stdout, stderr } = spawnSync("systemd-analyze", analysis, { encoding: "utf8" });
    const [line = "", exposure] = /^.*Overall exposure level for .*: (\d+\.\d+) .*$/m.exec(stdout) ?? [];
    expect(exposure, stderr).toBeDefined();
    console.log(`${basename(path)}: ${line.replace(/^\W+/, "")}`);
    expect(Number(exposure)).toBeLessThanOrEqual(GREATEST_EXPOSURE);
  });
});

const noShellcheck = explainMissing("shellcheck", "shellcheck");
describe.skipIf(noShellcheck !== undefined)(
  `the guard's script${noShellcheck === undefined ? "" : ` (skipped: ${noShellcheck})`}`,
  () => {
    it("is POSIX shell that shellcheck has nothing against", () => {
      const script = join(repositoryRoot, "agent", "guard", "guard.sh");
      const { stdout, status } = spawnSync("shellcheck", ["-s", "sh", script], { encoding: "utf8" });
      expect({ stdout, status }).toEqual({ stdout: "", status: 0 });
    });
  },
);

describe("the agent's units", () => {
  it("name the same files everywhere, and let both write the same folders", () => {
    const [agent = "", guard = ""] = SERVICES;
    const [start = ""] = settings(agent, "ExecStart");
    const [, binary, config, state] = /^(\S+) run --config (\S+) --state-dir (\S+)$/.exec(start) ?? [];
    const script = "/opt/rollcall/libexec/rollcall-agent-guard";
    expect(settings(agent, "ExecStopPost")).toEqual([
      expect.stringMatching(new RegExp(`^\\+-/bin/sh -c .* ${script} stopped ${binary} ${state} ${config}'$`)),
    ]);
    expect(settings(guard, "ExecStart")).toEqual([`${script} watch ${binary} ${state} ${config}`]);
    const folder = binary?.replace(/\/[^/]*$/, "");
    for (const unit of [agent, guard]) expect(settings(unit, "ReadWritePaths")).toEqual([`${folder} ${state}`]);
  });

  it("run as a user that is not root and that does not own the guard's script", () => {
    for (const unit of SERVICES.slice(0, 2)) expect(settings(unit, "User")).toEqual(["rollcall"]);
    const [, folders = ""] = /^ReadWritePaths=(.*)$/m.exec(readUnit("agent/units/rollcall-agent.service")) ?? [];
    expect(folders).not.toContain("libexec");
    const [afterwards = ""] = settings("agent/units/rollcall-agent.service", "ExecStopPost");
    expect(afterwards).toMatch(/exec setpriv --reuid=rollcall --regid=rollcall --clear-groups --no-new-privs/);
  });

  it("forbid no engine to compile", () => {
    for (const unit of SERVICES) expect(settings(unit, "MemoryDenyWriteExecute")).toEqual([]);
  });
});
