import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { digestFile } from "../../agent/updater/file-digest.ts";
import { formatLabels } from "../../gen/labels.ts";
import { JobState } from "../../gen/rollcall/v1/model_pb.js";
import { startConnectProxy } from "../support/connect-proxy.ts";
import { hostStates, untilFleetUpdateSettled } from "../support/fleet-update-end.ts";
import { repositoryRoot } from "../toolchain/repository-root.ts";
import { AGENT_PATHS, AGENT_UNIT, GUARD_UNIT, installAgent } from "./agent-host.ts";
import { describeOnHosts } from "./describe-on-hosts.ts";
import { GREATEST_EXPOSURE, measureExposure } from "./exposure.ts";
import { faultyVersion } from "./faulty-releases.ts";
import type { SystemdHost } from "./systemd-host.ts";

const GUARD = "/opt/rollcall/libexec/rollcall-agent-guard";
const CONFIG = "/etc/rollcall/agent.json";
const UNITS = "/etc/systemd/system";
const PLACES = ["/opt/rollcall", "/etc/rollcall", AGENT_PATHS.stateDir, `${UNITS}/rollcall-agent.service`];
const SHIPPED = {
  [GUARD]: "agent/guard/guard.sh",
  [`${UNITS}/rollcall-agent.service`]: "agent/units/rollcall-agent.service",
  [`${UNITS}/rollcall-agent-guard.service`]: "agent/units/rollcall-agent-guard.service",
};

/** What is there of an installation. */
async function findTraces(host: SystemdHost): Promise<readonly string[]> {
  const look = `ls -d /var/tmp/rollcall-install.* ${PLACES.join(" ")} ${UNITS}/rollcall-* 2>/dev/null; id -un rollcall 2>/dev/null; true`;
  return (await host.demand("sh", "-c", look)).split("\n").filter((line) => line !== "");
}

const withoutToken = (line: string): string => line.replace(/ROLLCALL_TOKEN=\S+ /, "");

await describeOnHosts("the install line", ["exits"], (hosts) => {
  const lineFor = async (label: string): Promise<string> =>
    (await hosts().client.createEnrollmentToken({ label })).installCommand;

  it("installs, is run again to renew all but identity and configuration, and uninstalls", async () => {
    const fleet = hosts();
    const { older, newer } = fleet.builds;
    const machine = await fleet.bootMachine("line");
    const labels = "ROLLCALL_LABELS=role=web,site=lisbon";
    const line = (await lineFor("line")).replace("ROLLCALL_TOKEN=", `${labels} ROLLCALL_TOKEN=`);
    const first = await installAgent(machine, line, older.version);
    expect(first).toMatchObject({ status: 0, stderr: expect.not.stringContaining("rollcall:") as string });
    expect(first.stdout).toContain(`this host runs ${older.version} and is connected\n`);
    const host = await fleet.untilOnline("line", older.version);
    expect(formatLabels(host.labels)).toBe("role=web, site=lisbon");
    const owners = ["/opt/rollcall/bin", AGENT_PATHS.binary, GUARD, AGENT_PATHS.stateDir, CONFIG];
    expect(await machine.demand("stat", "--format=%n %U %a", ...owners)).toBe(
      [
        "/opt/rollcall/bin rollcall 755",
        `${AGENT_PATHS.binary} rollcall 755`,
        `${GUARD} root 755`,
        `${AGENT_PATHS.stateDir} rollcall 700`,
        `${CONFIG} root 640\n`,
      ].join("\n"),
    );
    const states = await machine.demand("systemctl", "is-enabled", "rollcall-agent", "rollcall-agent-guard");
    expect(states).toBe("enabled\nenabled\n");
    for (const unit of [AGENT_UNIT, GUARD_UNIT])
      expect(await measureExposure(machine, unit)).toBeLessThanOrEqual(GREATEST_EXPOSURE);

    const job = await fleet.update({ machine, hostId: host.id }, newer.version);
    expect(await fleet.untilEnded(job)).toMatchObject({ state: JobState.SUCCEEDED });

    for (const path of Object.keys(SHIPPED)) await writeFile(machine.path(path), "# of an older release\n");
    const kept = JSON.parse(await readFile(machine.path(CONFIG), "utf8")) as Record<string, unknown>;
    const changed = { ...kept, install_revision: 0, reserve_bytes: 1_000_000 };
    await writeFile(machine.path(CONFIG), JSON.stringify(changed));
    const again = await installAgent(machine, withoutToken(line), older.version);
    expect(again).toMatchObject({ status: 0 });
    for (const [path, source] of Object.entries(SHIPPED))
      expect(await readFile(machine.path(path), "utf8")).toBe(await readFile(join(repositoryRoot, source), "utf8"));
    expect((await digestFile(machine.path(AGENT_PATHS.binary))).sha256).toBe(
      (await digestFile(older.binaryPath)).sha256,
    );
    expect(JSON.parse(await readFile(machine.path(CONFIG), "utf8"))).toEqual({ ...changed, install_revision: 2 });
    const online = await fleet.untilOnline("line", older.version);
    expect(online).toMatchObject({ id: host.id, installRevision: 2 });

    // What fails halfway on a host leaves its agent running, and the next run goes on from there.
    await machine.demand("mkdir", `${CONFIG}.new`);
    const halfway = await installAgent(machine, withoutToken(line), older.version);
    expect([halfway.status, halfway.stderr]).toEqual([1, expect.stringContaining(`${CONFIG}.new`)]);
    const active = await machine.demand("systemctl", "is-active", "rollcall-agent", "rollcall-agent-guard");
    expect(active).toBe("active\nactive\n");
    expect(await installAgent(machine, withoutToken(line), older.version)).toMatchObject({ status: 0 });

    const uninstall = `${withoutToken(line)} -s -- --uninstall`;
    expect(await installAgent(machine, uninstall, "")).toMatchObject({ status: 0 });
    expect(await findTraces(machine)).toEqual([]);
  });

  it("with what it cannot use leaves a machine as it was", async () => {
    const fleet = hosts();
    const machine = await fleet.bootMachine("refused");
    const line = await lineFor("refused");
    const withPin = (pin: string): string => line.replace(/sha256\/\/[^']+/, pin);
    const version = fleet.builds.older.version;
    const refusals: readonly (readonly [string, string, RegExp])[] = [
      [line.replace(/ROLLCALL_TOKEN=\S+/, "ROLLCALL_TOKEN=rc_enroll_wrong"), version, /the token is unknown, used up/],
      [withoutToken(line), version, /there is no token/],
      [line, "9.9.9", /status 404/],
      // One that runs, and cannot enrol.
      [line, faultyVersion("exits"), /was not enrolled.*taken away again/s],
    ];
    for (const [command, asked, sentence] of refusals) {
      const end = await installAgent(machine, command, asked);
      expect(end.stderr).toMatch(sentence);
      expect(end.status).toBe(1);
      expect(await findTraces(machine)).toEqual([]);
    }
    const foreign = await installAgent(machine, withPin(`sha256//${"A".repeat(43)}=`), version);
    expect(foreign.stderr).toMatch(/curl: \(90\)/);
    expect(await findTraces(machine)).toEqual([]);
    expect(await installAgent(machine, line, version)).toMatchObject({ status: 0 });
  });

  it("reaches the server through the proxy that it was run with, and so does the agent", async () => {
    const fleet = hosts();
    const [, address = ""] = /^https:\/\/([\d.]+):/.exec(fleet.server.web) ?? [];
    await using proxy = await startConnectProxy(address);
    const machine = await fleet.bootMachine("proxied");
    const line = `export https_proxy=http://user:secret@${address}:${proxy.port}; ${await lineFor("proxied")}`;
    expect(await installAgent(machine, line, fleet.builds.older.version)).toMatchObject({ status: 0 });
    const asked = new Set(proxy.requests.map(({ server }) => server));
    expect(asked).toEqual(new Set([fleet.server.web.replace("https://", ""), fleet.server.agents]));
    expect(new Set(proxy.requests.map(({ authorization }) => authorization))).toEqual(
      new Set([`Basic ${Buffer.from("user:secret").toString("base64")}`]),
    );
  });

  it("makes three machines a fleet, which a fleet update takes to the next version", async () => {
    const fleet = hosts();
    const names = ["one", "two", "three"];
    const members = await Promise.all(names.map((name) => fleet.addHost(name)));
    const version = fleet.builds.newer.version;
    const started = await fleet.updateFleet(members, version);
    const end = await untilFleetUpdateSettled(fleet.client, started);
    expect(hostStates(end).toSorted()).toEqual(names.map((name) => `${name} SUCCEEDED`).toSorted());
    const newer = (await digestFile(fleet.builds.newer.binaryPath)).sha256;
    const older = (await digestFile(fleet.builds.older.binaryPath)).sha256;
    for (const { machine } of members) {
      expect((await digestFile(machine.path(AGENT_PATHS.binary))).sha256).toBe(newer);
      expect((await digestFile(machine.path(AGENT_PATHS.old))).sha256).toBe(older);
    }
  });
});
