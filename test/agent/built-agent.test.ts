/** The one executable file, built and run as it is on a host. */
import { spawn, type ChildProcess } from "node:child_process";
import { hash } from "node:crypto";
import { once } from "node:events";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildRelease } from "../../agent/build/release.ts";
import { TARGETS } from "../../agent/build/target.ts";
import { LastUpdate_Outcome, UpdatePhase } from "../../gen/rollcall/v1/agent_pb.js";
import { createTestAuthority, startFakeAgentServer } from "../support/fake-agent-server.ts";
import { createBuildPublisher } from "../support/test-keys.ts";
import { TEST_PUBLISHER } from "../support/test-release.ts";
import { findOpenSockets } from "./open-sockets.ts";
import { runProgram } from "./run-program.ts";
import { TemporaryFolder } from "./temporary-folder.ts";

const ROOT = join(import.meta.dirname, "../..");
const JOB_ID = "11111111-1111-4111-8111-111111111111";
const BLOCK_BYTES = 64 * 1024;

/** Builds a signed release and tells its path. */
async function build(version: string, releasesDir: string, sequence: number): Promise<string> {
  const release = await buildRelease({
    root: ROOT,
    releasesDir: folder.join(releasesDir),
    version,
    targets: [TARGETS["linux-x64"]],
    publisher: createBuildPublisher(TEST_PUBLISHER),
    sequence,
    permittedFloor: 0,
    createdAt: new Date("2026-01-01T00:00:00Z"),
  });
  return release.path;
}

let folder: TemporaryFolder;
let oldRelease: string;
let newRelease: string;
let agent: string;

beforeAll(async () => {
  folder = await TemporaryFolder.create();
  [oldRelease, newRelease] = await Promise.all([build("1.0.0+a", "one", 1), build("2.0.0", "one", 2)]);
  agent = join(oldRelease, "linux-x64", "rollcall-agent");
}, 120_000);

afterAll(async () => {
  await folder[Symbol.asyncDispose]();
  expect(await findOpenSockets()).toEqual([]);
});

test("it prints its version alone", async () => {
  expect(await runProgram(agent, ["version"])).toEqual({ status: 0, stdout: "1.0.0+a\n", stderr: "" });
});

test("the same sources give the same bytes", async () => {
  const again = await build("2.0.0", "two", 2);
  for (const name of ["manifest.json", "manifest.json.minisig"])
    expect(await readFile(join(again, name), "utf8")).toBe(await readFile(join(newRelease, name), "utf8"));
}, 60_000);

describe("--probe", () => {
  test("prints the version and is content with a good configuration", async () => {
    await writeFile(
      folder.join("good.json"),
      JSON.stringify({ servers: ["localhost:1"], ca_pem: createTestAuthority().caPem }),
    );
    const ended = await runProgram(agent, [
      "--probe",
      "--config",
      folder.join("good.json"),
      "--state-dir",
      "/nonexistent",
    ]);
    expect(ended).toEqual({ status: 0, stdout: "1.0.0+a\n", stderr: "" });
  });

  test("names what is wrong with a bad one", async () => {
    await writeFile(folder.join("bad.json"), '{"servers":["localhost"],"ca":"system"}');
    const ended = await runProgram(agent, ["--probe", "--config", folder.join("bad.json")]);
    expect(ended).toMatchObject({ status: 1, stdout: "1.0.0+a\n" });
    expect(ended.stderr).toContain('"servers[0]" must be "host:port"');
  });
});

test("a bad command line ends with 2", async () => {
  const ended = await runProgram(agent, ["run", "--nonsense"]);
  expect(ended).toMatchObject({ status: 2, stdout: "" });
  expect(ended.stderr).toContain('unknown flag "--nonsense"');
});

test("neither OPENSSL_CONF nor NODE_OPTIONS reaches it, although they stop the Node that it is made of", async () => {
  const config =
    "nodejs_conf = a\n[a]\nproviders = b\n[b]\nevil = c\n[c]\nmodule = /nonexistent/evil.so\nactivate = 1\n";
  await writeFile(folder.join("evil.cnf"), config);
  for (const env of [{ OPENSSL_CONF: folder.join("evil.cnf") }, { NODE_OPTIONS: "--no-such-option" }]) {
    expect((await runProgram(process.execPath, ["-e", ""], { env })).status).not.toBe(0);
    expect(await runProgram(agent, ["version"], { env })).toEqual({ status: 0, stdout: "1.0.0+a\n", stderr: "" });
  }
});

/** Starts the agent again whenever it ends, as a service manager does. */
class Supervisor implements AsyncDisposable {
  readonly ends: (number | NodeJS.Signals | null)[] = [];
  readonly #argv: readonly string[];
  readonly #path: string;
  #child: ChildProcess;
  #isStopping = false;
  #ended: Promise<void>;

  constructor(path: string, argv: readonly string[]) {
    this.#path = path;
    this.#argv = argv;
    this.#child = this.#start();
    this.#ended = this.#keepRunning();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopping = true;
    this.#child.kill("SIGTERM");
    await this.#ended;
  }

  #start(): ChildProcess {
    return spawn(this.#path, this.#argv, { env: {}, stdio: "ignore" });
  }

  async #keepRunning(): Promise<void> {
    for (;;) {
      const [status, signal] = (await once(this.#child, "exit")) as [number | null, NodeJS.Signals | null];
      this.ends.push(status ?? signal);
      if (this.#isStopping) return;
      this.#child = this.#start();
    }
  }
}

test("an enrolled agent replaces itself when told to, says so when it is back, and stops when asked", async () => {
  await using server = await startFakeAgentServer(createTestAuthority());
  const artifact = await readFile(join(newRelease, "linux-x64", "rollcall-agent"));
  const [manifest, signature, keys, keysSignature] = await Promise.all(
    ["manifest.json", "manifest.json.minisig", "keys.json", "keys.json.minisig"].map((name) =>
      readFile(join(newRelease, name)),
    ),
  );
  if (manifest === undefined) throw new Error("a release has a manifest");
  const blockList = await readFile(join(newRelease, "linux-x64", "rollcall-agent.blocks"));
  const manifestSha256 = hash("sha256", manifest, "buffer");
  server.script.enroll = ({ token }) => ({ hostId: "host-1", credential: `for-${token}` });
  server.script.fetchManifest = () => ({ manifest, signature, keys, keysSignature, blockList });
  server.script.fetchBlocks = async function* ({ ranges }) {
    for (const { first, count } of ranges) {
      for (let index = first; index < first + count; index += 1) {
        yield { index, encoding: 1, data: artifact.subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES) };
      }
    }
  };
  await mkdir(folder.join("bin"), { mode: 0o755 });
  const binary = folder.join("bin", "rollcall-agent");
  await copyFile(agent, binary);
  await writeFile(folder.join("ca.pem"), server.caPem);
  const paths = ["--config", folder.join("agent.json"), "--state-dir", folder.join("state")];
  const enrolment = ["enroll", ...paths, "--server", server.address, "--ca-file", folder.join("ca.pem")];
  const enrolled = await runProgram(binary, enrolment, { env: { ROLLCALL_TOKEN: "token" } });
  expect(enrolled).toEqual({ status: 0, stdout: "enrolled as host-1\n", stderr: "" });

  const ends: (number | NodeJS.Signals | null)[] = [];
  {
    await using supervisor = new Supervisor(binary, ["run", ...paths]);
    const before = await server.connections.take();
    expect(before.authorization).toBe("Bearer for-token");
    const firstHello = await before.hello();
    expect(firstHello).toMatchObject({ agentVersion: "1.0.0+a", os: "linux", arch: process.arch });
    before.welcome(1n);
    const update = {
      jobId: JOB_ID,
      package: "rollcall-agent",
      fromVersion: "1.0.0+a",
      toVersion: "2.0.0",
      manifestSha256,
    };
    before.send({ case: "commandUpdate", value: update });
    await before.progress(({ value }) => {
      expect(value).toMatchObject({ reason: 0 });
      return value.phase === UpdatePhase.STAGED;
    });
    before.send({ case: "commitUpdate", value: { jobId: JOB_ID, manifestSha256, sessionEpoch: 1n } });
    await before.progress(({ value }) => value.phase === UpdatePhase.RESTARTING);

    const after = await server.connections.take();
    const hello = await after.hello();
    expect(hello.agentVersion).toBe("2.0.0");
    expect(hello.instanceId).not.toBe(firstHello.instanceId);
    expect(supervisor.ends).toEqual(["SIGTERM"]);
    after.welcome(2n);
    // Confirming takes the agent a moment: it tells of it in whichever Hello comes after that.
    let told = hello.lastUpdate;
    for (let last = after; told === undefined; told = (await last.hello()).lastUpdate) {
      last.end();
      last = await server.connections.take();
    }
    expect(told).toMatchObject({ jobId: JOB_ID, outcome: LastUpdate_Outcome.SUCCEEDED });
    ends.push(...supervisor.ends);
    expect((await readFile(binary)).equals(artifact)).toBe(true);
  }
  expect(ends).toEqual(["SIGTERM"]);
}, 60_000);
