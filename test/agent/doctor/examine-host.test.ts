/** The built agent's doctor on a host of its own, and on what is broken of it. */
import { execFile } from "node:child_process";
import { chmod, chown, copyFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Finding } from "../../../gen/finding.ts";
import { layOutAgentHost, type AgentHost } from "../../support/agent-host.ts";
import { buildTestAgents } from "../../support/built-agent.ts";
import { startControlPlane, type ControlPlane } from "../../support/control-plane.ts";
import { explainNoMounts, restrictFolder } from "../../support/mounts.ts";
import { findQuietPort } from "../../support/quiet-port.ts";

/** *Source*: Debian's base-passwd. */
const NOBODY = 65_534;

let plane: ControlPlane;
let folder: string;
let host: AgentHost;

beforeAll(async () => {
  const builds = await buildTestAgents();
  plane = await startControlPlane();
  folder = await mkdtemp(join(tmpdir(), "rollcall-host-doctor-"));
  host = await layOutAgentHost({ folder: join(folder, "host"), hostname: "host-1", fleet: plane.fleet, server: plane });
  await copyFile(builds.newer.binaryPath, host.paths.binary);
}, 240_000);

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  await plane[Symbol.asyncDispose]();
});

interface Examination {
  readonly exitStatus: number;
  readonly failed: readonly Finding[];
  readonly findings: readonly Finding[];
}

/** Services are this machine's own, and not this host's. */
async function examine(): Promise<Examination> {
  const words = ["doctor", "--json", "--config", host.configPath, "--state-dir", host.paths.stateDir];
  const [exitStatus, stdout] = await new Promise<[number, string]>((resolve) => {
    const child = execFile(host.paths.binary, words, (_error, text) => resolve([child.exitCode ?? -1, text]));
  });
  const { findings } = JSON.parse(stdout) as { findings: Finding[] };
  const failed = findings.filter(({ check, verdict }) => verdict === "fail" && !check.endsWith(".service"));
  return { exitStatus, failed, findings };
}

async function expectFailure(check: string, sentence: string): Promise<void> {
  const { failed, exitStatus } = await examine();
  expect(failed.map((finding) => finding.check)).toEqual([check]);
  expect(failed[0]?.found).toContain(sentence);
  expect(failed[0]?.toDo).not.toBe("");
  expect(exitStatus).toBe(1);
}

/** Runs `work` with other fields in the configuration. */
async function withConfig(changes: Readonly<Record<string, unknown>>, work: () => Promise<void>): Promise<void> {
  const text = await readFile(host.configPath, "utf8");
  await writeFile(host.configPath, JSON.stringify({ ...(JSON.parse(text) as object), ...changes }));
  await work();
  await writeFile(host.configPath, text);
}

test("a host in order reaches its server and could be updated", async () => {
  const { failed, findings } = await examine();
  expect(failed).toEqual([]);
  const found = new Map(findings.map((finding) => [finding.check, finding.found]));
  expect(found.get("server")).toContain("can be reached");
  expect(found.get("identity")).toContain(host.hostId);
  expect(found.get("folders")).toContain("can be written and run from");
});

test("a server that is away, and one that is not trusted, are told apart", async () => {
  const address = `127.0.0.1:${await findQuietPort()}`;
  await withConfig({ servers: [address] }, () => expectFailure("server", `${address}: `));
  const foreign = await startControlPlane();
  await withConfig({ ca_pem: foreign.caPem }, () => expectFailure("server", "no certificate that this host trusts"));
  await foreign[Symbol.asyncDispose]();
});

test("a disk that is too full, a folder that others may write and a lost identity are named", async () => {
  await withConfig({ reserve_bytes: 2 ** 50 }, () => expectFailure("disk", "an update needs about"));
  await withConfig({ install_revision: 1 }, () => expectFailure("units", "of revision 1"));
  await chmod(host.paths.folder, 0o777);
  await expectFailure("folders", "may be written by other users");
  await chmod(host.paths.folder, 0o700);
  const identity = join(host.paths.stateDir, "credential.json");
  await chmod(identity, 0o644);
  const { failed } = await examine();
  expect(failed.map(({ check }) => check)).toContain("identity");
  await chmod(identity, 0o600);
});

test.skipIf(process.getuid?.() !== 0)("root looks as the user that the agent runs as", async () => {
  await chown(host.paths.stateDir, NOBODY, NOBODY);
  const { failed, findings } = await examine();
  await chown(host.paths.stateDir, 0, 0);
  expect(findings.find(({ check }) => check === "user")?.found).toContain(`as user ${NOBODY}`);
  // The folder above is root's own, which root itself would not have noticed.
  expect(failed.map(({ check }) => check)).toEqual(expect.arrayContaining(["configuration", "identity", "folders"]));
});

const noMounts = await explainNoMounts();

test.skipIf(noMounts !== undefined)("a folder that cannot be written is named", async () => {
  await using _readOnly = await restrictFolder(host.paths.folder, "ro");
  await expectFailure("folders", "cannot write to");
});
