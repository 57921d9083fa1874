/**
 * Agents and servers of other builds than this one. What they say more is passed over,
 * what they do not understand ends in words of a job, and nobody is shut out by it.
 */
import { hash } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import {
  AgentMessageSchema,
  CommandUpdateSchema,
  HelloSchema,
  LastUpdate_Outcome,
  ServerMessageSchema,
  UpdatePhase,
  UpdateProgressSchema,
  WelcomeSchema,
} from "../../gen/rollcall/v1/agent_pb.js";
import { HostStatus, JobReason, JobState } from "../../gen/rollcall/v1/model_pb.js";
import { findOpenSockets } from "../agent/open-sockets.ts";
import { NEW_VERSION, OLD_VERSION, startControlPlane, type ControlPlane } from "../support/control-plane.ts";
import { createTestAuthority, startFakeAgentServer, type FakeConnection } from "../support/fake-agent-server.ts";
import { MemoryHost } from "../support/memory-host.ts";
import { onlyField, unknownKind, withUnknownFields } from "../support/newer-wire.ts";
import { createOffer, withManifest, type Offer } from "../support/offered-release.ts";
import { validHello } from "../support/scripted-agent.ts";
import { ScriptedHost } from "../support/scripted-host.ts";
import { signBytes } from "../support/test-keys.ts";
import { TEST_PUBLISHER } from "../support/test-release.ts";

/** *Units*: milliseconds after which an agent that says nothing of its job has failed it. */
const DEADLINE_MS = 1_500;
/** Of an enum, and none of those that it has here. */
const UNKNOWN_VALUE = 999;
const { hello: helloField, updateProgress: progressField } = AgentMessageSchema.field;
const { welcome: welcomeField, commandUpdate: commandField } = ServerMessageSchema.field;

afterAll(async () => expect(await findOpenSockets()).toEqual([]));

describe("at this server", () => {
  let plane: ControlPlane;
  beforeAll(async () => {
    plane = await startControlPlane();
  });
  afterAll(() => plane[Symbol.asyncDispose]());

  const command = async (host: ScriptedHost): Promise<string> => {
    const { job } = await plane.fleet.updateHost({ hostId: host.hostId });
    await host.commanded();
    return job?.id ?? "";
  };

  test("a newer agent is updated, whatever it says more", async () => {
    const host = await ScriptedHost.enrol(plane, "newer");
    const stream = host.agent.connect();
    const hello = validHello({ hostname: "newer", agentVersion: OLD_VERSION });
    stream.send(onlyField(helloField, withUnknownFields(HelloSchema, hello)));
    expect((await stream.next()).message.case).toBe("welcome");
    const { job } = await plane.fleet.updateHost({ hostId: host.hostId });
    const jobId = job?.id ?? "";
    expect((await stream.next()).message).toMatchObject({ case: "commandUpdate", value: { jobId } });
    stream.send(unknownKind());
    stream.sendProgress({ jobId, phase: UNKNOWN_VALUE as UpdatePhase });
    stream.sendProgress({ jobId, phase: UpdatePhase.STAGED });
    expect((await stream.next()).message).toMatchObject({ case: "commitUpdate", value: { jobId } });
    stream.cancel();
    await stream.ended;
    await host.helloUpdated(jobId, NEW_VERSION);
    expect((await plane.untilEnded(jobId)).state).toBe(JobState.SUCCEEDED);
  });

  test("a newer agent's reason that is not known here stands as a failed download, with its own words", async () => {
    const host = await ScriptedHost.connect(plane, "newer-reason");
    const jobId = await command(host);
    const detail = "the disk has a fault that only newer agents know";
    const failed = { jobId, phase: UpdatePhase.FAILED, reason: UNKNOWN_VALUE as JobReason, details: { detail } };
    host.stream.send(onlyField(progressField, withUnknownFields(UpdateProgressSchema, failed)));
    const ended = await plane.untilEnded(jobId);
    expect(ended).toMatchObject({ state: JobState.FAILED, reason: JobReason.DOWNLOAD_FAILED, details: { detail } });
  });

  test("a newer agent's last update shuts its host out neither, known outcome or not", async () => {
    const host = await ScriptedHost.connect(plane, "newer-outcome");
    const jobId = await command(host);
    await host.leave();
    const lastUpdate = { jobId, outcome: UNKNOWN_VALUE as LastUpdate_Outcome, reason: UNKNOWN_VALUE as JobReason };
    await host.hello({ lastUpdate });
    // Nothing that is known here was said of the job: its command is sent again.
    expect(await host.commanded()).toMatchObject({ jobId });
    await host.leave();
    await host.hello({ lastUpdate: { ...lastUpdate, outcome: LastUpdate_Outcome.FAILED } });
    expect(await plane.untilEnded(jobId)).toMatchObject({ state: JobState.FAILED, reason: JobReason.DOWNLOAD_FAILED });
    expect((await plane.fleet.getHost({ hostId: host.hostId })).host?.status).toBe(HostStatus.ONLINE);
  });

  test("an older agent that tells only what the first one told is updated", async () => {
    const host = await ScriptedHost.enrol(plane, "older");
    const { agentVersion, protocolVersion, os, arch, hostname, instanceId } = validHello({ hostname: "older" });
    await host.hello({ agentVersion, protocolVersion, os, arch, hostname, instanceId, packages: [] });
    const { job } = await plane.fleet.updateHost({ hostId: host.hostId });
    expect(await host.reachCommit()).toBe(job?.id);
    await host.leave();
    await host.hello({ agentVersion: NEW_VERSION, packages: [] });
    expect((await plane.untilEnded(job?.id ?? "")).state).toBe(JobState.SUCCEEDED);
  });

  test("an older agent that does not understand the command fails by silence, and stays online", async () => {
    await using impatient = await startControlPlane({ progressDeadlineMs: DEADLINE_MS });
    const host = await ScriptedHost.connect(impatient, "silent");
    const { job } = await impatient.fleet.updateHost({ hostId: host.hostId });
    const ended = await impatient.untilEnded(job?.id ?? "");
    expect(ended).toMatchObject({ state: JobState.FAILED, reason: JobReason.NO_PROGRESS });
    expect((await impatient.fleet.getHost({ hostId: host.hostId })).host?.status).toBe(HostStatus.ONLINE);
  });
});

describe("this agent", () => {
  const authority = createTestAuthority();
  const offer = createOffer();
  let host: MemoryHost | undefined;
  afterEach(() => host?.[Symbol.asyncDispose]());

  /** An agent of this build and the session that it opened with a server of another. */
  async function connect(server: Awaited<ReturnType<typeof startFakeAgentServer>>): Promise<FakeConnection> {
    host = new MemoryHost({
      hostname: "host",
      version: OLD_VERSION,
      servers: [server.address],
      caPem: server.caPem,
      credential: "credential",
      restartMs: 10,
    });
    const connection = await server.connections.take();
    await connection.hello();
    return connection;
  }

  const jobId = "11111111-1111-4111-8111-111111111111";
  const commandOf = ({ toVersion, manifestSha256 }: Offer) => ({
    jobId,
    package: "rollcall-agent",
    fromVersion: OLD_VERSION,
    toVersion,
    manifestSha256,
  });
  /** Answers fetches with this offer. */
  const serve = (
    { script }: Awaited<ReturnType<typeof startFakeAgentServer>>,
    { manifest, keySet, ...rest }: Offer,
  ) => {
    script.fetchManifest = () => ({
      manifest: manifest.bytes,
      signature: manifest.signature,
      keys: keySet.bytes,
      keysSignature: keySet.signature,
      blockList: rest.blockList,
    });
    script.fetchBlocks = async function* (request) {
      yield* rest.sendBlocks(request);
    };
  };

  test("does what a newer server commands, whatever that says more", async () => {
    await using server = await startFakeAgentServer(authority);
    serve(server, offer);
    const connection = await connect(server);
    const welcome = { serverVersion: "9.0.0", sessionEpoch: 1n, heartbeatIntervalMs: 60 };
    connection.sendBytes(unknownKind());
    connection.sendBytes(onlyField(welcomeField, withUnknownFields(WelcomeSchema, welcome)));
    connection.sendBytes(unknownKind());
    connection.sendBytes(onlyField(commandField, withUnknownFields(CommandUpdateSchema, commandOf(offer))));
    const staged = await connection.progress(({ value }) => value.phase !== UpdatePhase.DOWNLOADING);
    expect(staged).toMatchObject({ jobId, phase: UpdatePhase.STAGED });
    connection.sendBytes(unknownKind());
    const { manifestSha256 } = offer;
    connection.send({ case: "commitUpdate", value: { jobId, manifestSha256, sessionEpoch: 1n } });
    await connection.progress(({ value }) => value.phase === UpdatePhase.RESTARTING);
  });

  test("does nothing for a command of a kind that it does not know, and stays", async () => {
    await using server = await startFakeAgentServer(authority);
    const connection = await connect(server);
    connection.welcome(1n, 60);
    connection.sendBytes(unknownKind());
    for (let heartbeats = 0; heartbeats < 3; heartbeats += 1)
      expect((await connection.inbox.take()).message.case).toBe("heartbeat");
  });

  test("takes a manifest with fields that it does not know, and tells of a form that it does not read", async () => {
    const change = (from: RegExp, to: string): Offer => {
      const bytes = Buffer.from(offer.manifest.bytes.toString("utf8").replace(from, to));
      return withManifest(offer, signBytes(TEST_PUBLISHER.signingKey, bytes, "file:manifest.json"));
    };
    const cases = [
      { changed: change(/^\{/, '{ "since_then": { "a": [1, "b"] },'), phase: UpdatePhase.STAGED, says: "" },
      { changed: change(/"format": 1/, '"format": 2'), phase: UpdatePhase.FAILED, says: "format" },
    ];
    for (const { changed, phase, says } of cases) {
      await using server = await startFakeAgentServer(authority);
      serve(server, changed);
      const connection = await connect(server);
      connection.welcome(1n);
      expect(hash("sha256", changed.manifest.bytes, "buffer").equals(changed.manifestSha256)).toBe(true);
      connection.send({ case: "commandUpdate", value: commandOf(changed) });
      const ended = await connection.progress(({ value }) => value.phase !== UpdatePhase.DOWNLOADING);
      expect([ended.phase, ended.reason]).toEqual([phase, says === "" ? 0 : JobReason.DOWNLOAD_FAILED]);
      expect(ended.details?.detail ?? "").toContain(says);
      await host?.[Symbol.asyncDispose]();
    }
  });
});
