import { createHash, randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  LastUpdate_Outcome,
  UpdatePhase,
  type CommitUpdate,
  type FetchBlocksResponse,
} from "../../../gen/rollcall/v1/agent_pb.js";
import { HostStatus, JobReason, JobState, Refusal_Reason } from "../../../gen/rollcall/v1/model_pb.js";
import { NEW_VERSION, OLD_VERSION, startControlPlane, type ControlPlane } from "../../support/control-plane.ts";
import { plainBlock } from "../../support/plain-block.ts";
import { refusalOf } from "../../support/refusal-of.ts";
import { validHello, type ScriptedAgent, type ScriptedStream } from "../../support/scripted-agent.ts";

let plane: ControlPlane;
beforeAll(async () => {
  plane = await startControlPlane();
});
afterAll(() => plane[Symbol.asyncDispose]());

type Agent = ScriptedAgent & { readonly hostId: string };

const helloOf = (hostname: string, changes: Parameters<typeof validHello>[0] = {}) =>
  validHello({ hostname, agentVersion: OLD_VERSION, instanceId: randomUUID(), ...changes });

async function connect(hostname: string): Promise<{ agent: Agent; stream: ScriptedStream; instanceId: string }> {
  const agent = await plane.enrollAgent(hostname);
  const hello = helloOf(hostname);
  const { stream } = await agent.hello(hello);
  return { agent, stream, instanceId: hello.instanceId };
}

async function nextOf<Case extends string>(stream: ScriptedStream, kind: Case) {
  for (;;) {
    const { message } = await stream.next();
    if (message.case === kind) return message.value as never;
  }
}

const reasonOf = async (call: Promise<unknown>) => (await refusalOf(call))?.reason;

const stateOf = async (jobId: string) => (await plane.fleet.getJob({ jobId })).job?.state;

describe("an update of one host", () => {
  test("goes from command to the matching Hello, and each step is on record", async () => {
    const { agent, stream } = await connect("whole-way");
    const { job } = await plane.fleet.updateHost({ hostId: agent.hostId });
    const jobId = job?.id ?? "";
    expect(job).toMatchObject({
      state: JobState.DISPATCHED,
      fromVersion: OLD_VERSION,
      toVersion: NEW_VERSION,
      requestedBy: "admin-token",
    });

    const command: { jobId: string; toVersion: string; manifestSha256: Uint8Array } = await nextOf(
      stream,
      "commandUpdate",
    );
    expect(command).toMatchObject({ jobId, toVersion: NEW_VERSION });
    const { manifest, blockList } = await agent.fetchManifest(jobId);
    expect(createHash("sha256").update(manifest).digest().equals(command.manifestSha256)).toBe(true);

    const artifact = await readFile(join(plane.releasesDir, NEW_VERSION, "linux-x64", "rollcall-agent"));
    stream.sendProgress({ jobId, phase: UpdatePhase.DOWNLOADING, bytesDone: 0n, bytesTotal: BigInt(artifact.length) });
    const blocks: Buffer[] = [];
    for await (const block of agent.fetchBlocks(jobId, [{ first: 0, count: blockList.length / 32 }])) {
      blocks.push(plainBlock(block as FetchBlocksResponse));
    }
    expect(Buffer.concat(blocks).equals(artifact)).toBe(true);

    stream.sendProgress({
      jobId,
      phase: UpdatePhase.STAGED,
      bytesDone: BigInt(artifact.length),
      bytesTotal: BigInt(artifact.length),
    });
    const commit: CommitUpdate = await nextOf(stream, "commitUpdate");
    expect(commit).toMatchObject({ jobId });
    expect(await stateOf(jobId)).toBe(JobState.RESTARTING);
    stream.cancel();
    await stream.ended;

    await agent.hello(
      helloOf("whole-way", { agentVersion: NEW_VERSION, lastUpdate: { jobId, outcome: LastUpdate_Outcome.SUCCEEDED } }),
    );
    expect(await plane.untilEnded(jobId)).toMatchObject({ state: JobState.SUCCEEDED, reason: JobReason.UNSPECIFIED });
    const { host } = await plane.fleet.getHost({ hostId: agent.hostId });
    expect(host).toMatchObject({ agentVersion: NEW_VERSION, updateAvailable: false, status: HostStatus.ONLINE });
    const audit = await plane.database.db
      .selectFrom("audit_events")
      .select("action")
      .where("host_id", "=", agent.hostId as never)
      .orderBy("id")
      .execute();
    expect(audit.map((event) => event.action)).toEqual([
      "host.enrolled",
      "host.update_dispatched",
      "host.update_succeeded",
    ]);
  });

  test("sends the commit again, for the new session, to a host that reconnects staged", async () => {
    const { agent, stream, instanceId } = await connect("staged-again");
    const { job } = await plane.fleet.updateHost({ hostId: agent.hostId });
    const jobId = job?.id ?? "";
    const command: { manifestSha256: Uint8Array } = await nextOf(stream, "commandUpdate");
    stream.sendProgress({ jobId, phase: UpdatePhase.STAGED });
    const first: CommitUpdate = await nextOf(stream, "commitUpdate");
    const activeJob = { jobId, phase: UpdatePhase.STAGED, manifestSha256: command.manifestSha256 };
    const again = await agent.hello(helloOf("staged-again", { instanceId, activeJob }));
    const second: CommitUpdate = await nextOf(again.stream, "commitUpdate");
    expect(second.sessionEpoch).toBe(again.welcome.sessionEpoch);
    expect(second.sessionEpoch).toBeGreaterThan(first.sessionEpoch);
  });

  test("sends the command again to a process that knows nothing of its job", async () => {
    const { agent, stream } = await connect("idle-again");
    const { job } = await plane.fleet.updateHost({ hostId: agent.hostId });
    await nextOf(stream, "commandUpdate");
    const again = await agent.hello(helloOf("idle-again"));
    expect(await nextOf(again.stream, "commandUpdate")).toMatchObject({ jobId: job?.id });
  });

  test("that was asked for while its host reconnects is sent at the Hello", async () => {
    const { agent, stream } = await connect("asked-between");
    stream.cancel();
    await stream.ended;
    const { job } = await plane.fleet.updateHost({ hostId: agent.hostId });
    const again = await agent.hello(helloOf("asked-between"));
    expect(await nextOf(again.stream, "commandUpdate")).toMatchObject({ jobId: job?.id });
  });

  test.each([
    ["agent_restarted", OLD_VERSION, JobReason.AGENT_RESTARTED],
    ["wrong_version", "1.5.0", JobReason.WRONG_VERSION],
  ] as const)("ends %s when its host comes back on %s after the commit", async (name, agentVersion, reason) => {
    const hostname = name.replace("_", "-");
    const { agent, stream } = await connect(hostname);
    const { job } = await plane.fleet.updateHost({ hostId: agent.hostId });
    const jobId = job?.id ?? "";
    await nextOf(stream, "commandUpdate");
    stream.sendProgress({ jobId, phase: UpdatePhase.STAGED });
    await nextOf(stream, "commitUpdate");
    await agent.hello(helloOf(hostname, { agentVersion }));
    expect(await plane.untilEnded(jobId)).toMatchObject({ state: JobState.FAILED, reason });
  });

  test("carries the agent's own reason and facts", async () => {
    const { agent, stream } = await connect("own-reason");
    const { job } = await plane.fleet.updateHost({ hostId: agent.hostId });
    const jobId = job?.id ?? "";
    const details = { path: "/opt/rollcall", bytesFree: 10n, bytesNeeded: 400_000n };
    stream.sendProgress({ jobId, phase: UpdatePhase.FAILED, reason: JobReason.PREFLIGHT_NO_SPACE, details });
    expect(await plane.untilEnded(jobId)).toMatchObject({
      state: JobState.FAILED,
      reason: JobReason.PREFLIGHT_NO_SPACE,
      details,
    });
  });
});

describe("cancel", () => {
  test("before the commit ends the job and tells the agent", async () => {
    const { agent, stream } = await connect("cancelled");
    const { job } = await plane.fleet.updateHost({ hostId: agent.hostId });
    const jobId = job?.id ?? "";
    expect((await plane.fleet.cancelJob({ jobId })).job?.state).toBe(JobState.CANCELLED);
    expect(await nextOf(stream, "cancelUpdate")).toMatchObject({ jobId });
    // Asked again, answered alike; and a stage that comes late is granted nothing.
    expect((await plane.fleet.cancelJob({ jobId })).job?.state).toBe(JobState.CANCELLED);
    stream.sendProgress({ jobId, phase: UpdatePhase.STAGED });
    const { job: next } = await plane.fleet.updateHost({ hostId: agent.hostId });
    expect(await nextOf(stream, "commandUpdate")).toMatchObject({ jobId: next?.id });
    expect(stream.received.some(({ message }) => message.case === "commitUpdate")).toBe(false);
  });

  test("after the commit is refused and changes nothing", async () => {
    const { agent, stream } = await connect("too-late");
    const { job } = await plane.fleet.updateHost({ hostId: agent.hostId });
    const jobId = job?.id ?? "";
    stream.sendProgress({ jobId, phase: UpdatePhase.STAGED });
    await nextOf(stream, "commitUpdate");
    expect(await reasonOf(plane.fleet.cancelJob({ jobId }))).toBe(Refusal_Reason.JOB_COMMITTED);
    expect(await stateOf(jobId)).toBe(JobState.RESTARTING);
  });

  test("of nothing is refused", async () => {
    expect(await reasonOf(plane.fleet.cancelJob({ jobId: randomUUID() }))).toBe(Refusal_Reason.JOB_UNKNOWN);
  });

  test("tells a host that works on a job that is not open here to drop it", async () => {
    const agent = await plane.enrollAgent("stale-stage");
    const jobId = randomUUID();
    const { stream } = await agent.hello(
      helloOf("stale-stage", { activeJob: { jobId, phase: UpdatePhase.STAGED, manifestSha256: new Uint8Array(32) } }),
    );
    expect(await nextOf(stream, "cancelUpdate")).toMatchObject({ jobId });
  });
});

describe("before dispatch", () => {
  test("each refusal is typed and nothing is sent", async () => {
    const agent = await plane.enrollAgent("refused");
    expect(await reasonOf(plane.fleet.updateHost({ hostId: randomUUID() }))).toBe(Refusal_Reason.HOST_UNKNOWN);
    expect(await reasonOf(plane.fleet.updateHost({ hostId: agent.hostId }))).toBe(Refusal_Reason.HOST_OFFLINE);
    const first = await agent.hello(helloOf("refused", { agentVersion: NEW_VERSION }));
    expect(await reasonOf(plane.fleet.updateHost({ hostId: agent.hostId }))).toBe(Refusal_Reason.ALREADY_AT_TARGET);
    const second = await agent.hello(helloOf("refused", { arch: "arm64" }));
    expect(await reasonOf(plane.fleet.updateHost({ hostId: agent.hostId }))).toBe(Refusal_Reason.NO_ARTIFACT);
    const third = await agent.hello(helloOf("refused"));
    await plane.fleet.updateHost({ hostId: agent.hostId });
    expect(await reasonOf(plane.fleet.updateHost({ hostId: agent.hostId }))).toBe(Refusal_Reason.UPDATE_RUNNING);
    for (const { stream } of [first, second])
      expect(stream.received.map(({ message }) => message.case)).toEqual(["welcome"]);
    await nextOf(third.stream, "commandUpdate");
  });

  test("of two updates asked for at once exactly one is written", async () => {
    const { agent } = await connect("at-once");
    const asked = await Promise.allSettled(
      Array.from({ length: 8 }, () => plane.fleet.updateHost({ hostId: agent.hostId })),
    );
    expect(asked.filter((answer) => answer.status === "fulfilled")).toHaveLength(1);
    const { jobs } = await plane.fleet.listJobs({ hostId: agent.hostId });
    expect(jobs).toHaveLength(1);
  });
});

describe("a host's word counts for its own jobs only", () => {
  test("progress of another host's job changes nothing, and the third time ends the stream", async () => {
    const victim = await connect("victim");
    const { job } = await plane.fleet.updateHost({ hostId: victim.agent.hostId });
    const jobId = job?.id ?? "";
    const { stream } = await connect("liar");
    for (let time = 0; time < 3; time += 1)
      stream.sendProgress({ jobId, phase: UpdatePhase.FAILED, reason: JobReason.PROBE_FAILED });
    const end = await stream.ended;
    expect(end.refusal?.reason).toBe(Refusal_Reason.FOREIGN_JOB);
    expect(await stateOf(jobId)).toBe(JobState.DISPATCHED);
  });

  test("what a replaced session says is void", async () => {
    const { agent, stream, instanceId } = await connect("replaced");
    const { job } = await plane.fleet.updateHost({ hostId: agent.hostId });
    const jobId = job?.id ?? "";
    await agent.hello(
      helloOf("replaced", {
        instanceId,
        activeJob: { jobId, phase: UpdatePhase.DOWNLOADING, manifestSha256: new Uint8Array(32) },
      }),
    );
    stream.sendProgress({ jobId, phase: UpdatePhase.FAILED, reason: JobReason.PROBE_FAILED });
    await stream.ended;
    expect(await stateOf(jobId)).toBe(JobState.DISPATCHED);
  });

  test("two machines with one credential: the newcomer is refused and no job is sent", async () => {
    const agent = await plane.enrollAgent("cloned");
    const [first, second] = [randomUUID(), randomUUID()];
    for (const instanceId of [first, second, first, second, first])
      await agent.hello(helloOf("cloned", { instanceId }));
    const late = agent.connect();
    late.sendHello(helloOf("cloned", { instanceId: second }));
    const end = await late.ended;
    expect(end.refusal?.reason).toBe(Refusal_Reason.IDENTITY_DUPLICATED);
    expect(end.refusal?.retryAfterMs).toBeGreaterThan(0);
    expect(await reasonOf(plane.fleet.updateHost({ hostId: agent.hostId }))).toBe(Refusal_Reason.IDENTITY_DUPLICATED);
  });
});
