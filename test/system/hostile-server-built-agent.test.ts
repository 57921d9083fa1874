/** The agent as it is built, under a server that is not its publisher's any more. */
import { spawn } from "node:child_process";
import { hash, randomUUID } from "node:crypto";
import { once } from "node:events";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { afterAll, expect, test } from "vitest";
import { storeIdentity } from "../../agent/identity.ts";
import { digestFile } from "../../agent/updater/file-digest.ts";
import { UpdatePhase, type FetchManifestResponseSchema } from "../../gen/rollcall/v1/agent_pb.js";
import { JobReason } from "../../gen/rollcall/v1/model_pb.js";
import { findOpenSockets } from "../agent/open-sockets.ts";
import { TemporaryFolder } from "../agent/temporary-folder.ts";
import { buildTestAgents } from "../support/built-agent.ts";
import { createTestAuthority, startFakeAgentServer } from "../support/fake-agent-server.ts";
import { signBytes } from "../support/test-keys.ts";
import { TEST_PUBLISHER } from "../support/test-release.ts";

const BLOCK_BYTES = 64 * 1024;

type Delivery = MessageInitShape<typeof FetchManifestResponseSchema>;

/** The whole release as its folder holds it. */
async function readRelease(artifactPath: string) {
  const folder = dirname(dirname(artifactPath));
  const [manifest, signature, keys, keysSignature] = (await Promise.all(
    ["manifest.json", "manifest.json.minisig", "keys.json", "keys.json.minisig"].map((name) =>
      readFile(join(folder, name)),
    ),
  )) as [Buffer, Buffer, Buffer, Buffer];
  const blockList = await readFile(`${artifactPath}.blocks`);
  return { manifest, signature, keys, keysSignature, blockList };
}

test("it refuses what its publisher did not sign, whatever environment and server say, and takes what they did", async () => {
  await using folder = await TemporaryFolder.create();
  await using server = await startFakeAgentServer(createTestAuthority());
  const { older, newer } = await buildTestAgents();
  const honest = await readRelease(newer.binaryPath);
  const artifact = await readFile(newer.binaryPath);
  const theirs = signBytes(TEST_PUBLISHER.signingKey, honest.manifest, "file:manifest.json");
  const theirKeys = { keys: TEST_PUBLISHER.keySet.bytes, keysSignature: TEST_PUBLISHER.keySet.signature };
  const changed = Buffer.concat([honest.manifest, Buffer.from(" ")]);
  const attacks: readonly (readonly [Delivery, JobReason])[] = [
    [{ ...honest, signature: theirs.signature, ...theirKeys }, JobReason.KEYS_INVALID],
    [{ ...honest, signature: theirs.signature }, JobReason.KEY_UNKNOWN],
    [{ ...honest, manifest: changed }, JobReason.SIGNATURE_INVALID],
    [{ ...honest, signature: Buffer.alloc(0) }, JobReason.SIGNATURE_INVALID],
  ];

  const binary = folder.join("bin", "rollcall-agent");
  const stateDir = folder.join("state");
  const configPath = folder.join("agent.json");
  await mkdir(dirname(binary), { mode: 0o700 });
  await mkdir(stateDir, { mode: 0o700 });
  await copyFile(older.binaryPath, binary);
  await writeFile(configPath, JSON.stringify({ servers: [server.address], ca_pem: server.caPem }));
  await storeIdentity(stateDir, { hostId: "host-1", credential: "credential" });
  const before = await digestFile(binary);

  const env = {
    ROLLCALL_BUILD_ROOTS: TEST_PUBLISHER.rootKeys.map(({ text }) => text).join(","),
    ROLLCALL_BUILD_SEQUENCE: "0",
    ROLLCALL_ROOT_KEYS: TEST_PUBLISHER.rootsFile,
  };
  const agent = spawn(binary, ["run", "--config", configPath, "--state-dir", stateDir], { env, stdio: "ignore" });
  const ended = once(agent, "exit");
  try {
    const connection = await server.connections.take();
    expect(await connection.hello()).toMatchObject({
      agentVersion: older.version,
      sequenceFloor: 1n,
      keysSequence: 0n,
    });
    connection.welcome(1n);
    const update = async (delivery: Delivery) => {
      const jobId = randomUUID();
      const manifestSha256 = hash("sha256", Buffer.from(delivery.manifest ?? []), "buffer");
      server.script.fetchManifest = () => delivery;
      const versions = { fromVersion: older.version, toVersion: newer.version };
      const command = { jobId, package: "rollcall-agent", manifestSha256, ...versions };
      connection.send({ case: "commandUpdate", value: command });
      return connection.progress(
        ({ value }) => value.jobId === jobId && [UpdatePhase.STAGED, UpdatePhase.FAILED].includes(value.phase),
      );
    };
    server.script.fetchBlocks = async function* ({ ranges }) {
      for (const { first, count } of ranges) {
        for (let index = first; index < first + count; index += 1)
          yield { index, encoding: 1, data: artifact.subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES) };
      }
    };
    for (const [delivery, reason] of attacks)
      expect(await update(delivery)).toMatchObject({ phase: UpdatePhase.FAILED, reason });
    expect(await digestFile(binary)).toEqual(before);
    expect(await update(honest)).toMatchObject({ phase: UpdatePhase.STAGED });
    expect(agent.exitCode).toBeNull();
  } finally {
    agent.kill("SIGTERM");
    await ended;
  }
  expect(await digestFile(binary)).toEqual(before);
}, 120_000);

afterAll(async () => expect(await findOpenSockets()).toEqual([]));
