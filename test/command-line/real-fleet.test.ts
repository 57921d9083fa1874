/** The executable as it is shipped, on a server with its own database and hosts that run the built agent. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { systemClock } from "../../agent/clock-system.ts";
import { DemoFleet } from "../demo/demo-fleet.ts";
import type { AgentBuilds } from "../demo/agent-builds.ts";
import { buildTestAgents } from "../support/built-agent.ts";
import { runCommand } from "../toolchain/run-command.ts";
import { Desk, expectEnd } from "./run-rollcall.ts";

let builds: AgentBuilds;
beforeAll(async () => {
  builds = await buildTestAgents();
}, 240_000);

test("the built command line brings two real hosts to the server's version and says so", {
  timeout: 180_000,
}, async () => {
  const signal = AbortSignal.timeout(170_000);
  await using owned = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "rollcall-command-line-"));
  owned.defer(() => rm(folder, { recursive: true, force: true }));
  const build = ["agent/build/command-line/main.ts", "--version", "1.2.3", "--out", folder];
  const built = await runCommand(process.execPath, build, signal);
  expect(built.succeeded, built.output).toBe(true);
  const desk = owned.use(await Desk.open([join(folder, "linux-x64", "rollcall")]));
  expectEnd(await desk.run(["--version"]), 0, "1.2.3\n");

  const fleet = owned.use(await DemoFleet.start(builds, systemClock, signal));
  await fleet.addHosts(["host-1", "host-2"], signal);
  const { web, adminTokenFile } = fleet.server;
  expectEnd(await desk.run(["login", web, "--token-file", adminTokenFile]), 0, "(admin)");
  const update = await desk.run(["fleet-update", "start", "--yes", "--at-once", "2"]);
  expectEnd(update, 0, "Completed: 2 of 2 hosts succeeded.");
  const list = await desk.run(["hosts", "list", "--json"]);
  const { hosts } = JSON.parse(list.stdout) as { hosts: { hostname: string; agentVersion: string }[] };
  const { version } = builds.newer;
  expect(hosts.map(({ hostname, agentVersion }) => [hostname, agentVersion])).toEqual([
    ["host-1", version],
    ["host-2", version],
  ]);

  const { agents, caFile } = fleet.server;
  const env = {
    ROLLCALL_DATA_DIR: dirname(adminTokenFile),
    ROLLCALL_RELEASES_DIR: builds.newer.releasesDir,
    ROLLCALL_WEB_LISTEN: new URL(web).host,
    ROLLCALL_AGENT_LISTEN: agents,
  };
  const doctor = await desk.run(["doctor", "server"], { env });
  expectEnd(doctor, 0, "migrations were made");
  expect(doctor.stdout).toContain(`${caFile} ends on`);
  expect(doctor.stdout).toContain(`${version} has a build for every host.`);
});
