/**
 * The server is away for 5 to 85 s around the commit, with every duration a fifth of
 * what ships. Ten hosts a round are at seeded points of their update when the server
 * is killed; a good build always ends `succeeded`.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { SESSION_LOOP_LIMITS, type SessionLoopLimits } from "../../agent/stream/session-loop.ts";
import { UPDATE_LIMITS, type UpdateLimits } from "../../agent/updater/update-limits.ts";
import { JobState } from "../../gen/rollcall/v1/model_pb.js";
import { DEFAULT_DURATIONS, type Durations } from "../../server/domain/durations.ts";
import { DEFAULT_LIMITS, type ListenerLimits } from "../../server/stream/limits.ts";
import { NEW_VERSION, OLD_VERSION, untilEnded } from "../support/control-plane.ts";
import { enrollHost } from "../support/host-enrollment.ts";
import { MemoryHost } from "../support/memory-host.ts";
import { seededRandom } from "../support/seeded-random.ts";
import { ServerChild } from "../support/server-child.ts";
import { createTestDatabase } from "../support/test-database.ts";
import { writeTestRelease } from "../support/test-release.ts";
import { buildVersionElf } from "../support/tiny-elf.ts";

const SCALE = 5;
const ROUNDS = 10;
/** Rounds that wait side by side. */
const LANES = 2;
const HOSTS = 10;
/** When the server dies, counted from the first dispatch, so that every phase is met. */
const KILL_AFTER_MS = 700;

const durations: Partial<Durations> = {
  progressDeadlineMs: DEFAULT_DURATIONS.progressDeadlineMs / SCALE,
  // Half as shipped, as an attempt to connect is below: how long hosts take to come back depends on the machine too.
  deadlineGraceMs: DEFAULT_DURATIONS.deadlineGraceMs / 2,
  offlineAfterMs: DEFAULT_DURATIONS.offlineAfterMs / SCALE,
  startGraceMs: DEFAULT_DURATIONS.startGraceMs / SCALE,
  heartbeatIntervalMs: DEFAULT_DURATIONS.heartbeatIntervalMs / SCALE,
  tickIntervalMs: 100,
};
const loopLimits: SessionLoopLimits = {
  ...SESSION_LOOP_LIMITS,
  backoff: {
    ...SESSION_LOOP_LIMITS.backoff,
    firstMs: SESSION_LOOP_LIMITS.backoff.firstMs / SCALE,
    greatestMs: SESSION_LOOP_LIMITS.backoff.greatestMs / SCALE,
    greatestUrgentMs: SESSION_LOOP_LIMITS.backoff.greatestUrgentMs / SCALE,
  },
  // Half as shipped: a handshake on a busy machine does not get faster with the rest.
  urgentAttemptMs: SESSION_LOOP_LIMITS.urgentAttemptMs / 2,
};
const limits: Partial<ListenerLimits> = {
  authenticationTimeoutMs: DEFAULT_LIMITS.authenticationTimeoutMs / SCALE,
  strangerPatienceMs: DEFAULT_LIMITS.strangerPatienceMs / SCALE,
};
const updateLimits: UpdateLimits = {
  ...UPDATE_LIMITS,
  commitWindowMs: UPDATE_LIMITS.commitWindowMs / SCALE,
  fetch: { stalledMs: UPDATE_LIMITS.fetch.stalledMs / SCALE, pauseMs: UPDATE_LIMITS.fetch.pauseMs / SCALE },
};

/** One round: ten updates, one outage. *Shape*: how each ended. */
async function runRound(seed: number): Promise<readonly string[]> {
  const random = seededRandom(seed);
  await using parts = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "rollcall-away-"));
  parts.defer(() => rm(folder, { recursive: true, force: true }));
  const releasesDir = join(folder, "releases");
  await writeTestRelease(releasesDir, {
    version: NEW_VERSION,
    sequence: 2,
    artifact: buildVersionElf(NEW_VERSION, 400_000),
  });
  const database = parts.use(await createTestDatabase());
  const server = parts.use(
    new ServerChild({
      dataDir: join(folder, "data"),
      releasesDir,
      version: NEW_VERSION,
      databaseUrl: database.url,
      durations,
      limits,
    }),
  );
  await server.start();
  const caPem = await server.caPem();
  const fleet = await server.fleet();
  const hosts = [];
  for (let index = 0; index < HOSTS; index += 1) {
    const hostname = `away-${index}`;
    const { hostId, credential } = await enrollHost(fleet, { agents: server.agents, caPem }, hostname);
    const [probeMs, swapMs, restartMs] = [random.between(0, 300), random.between(0, 100), random.between(20, 300)];
    const host = parts.use(
      new MemoryHost({
        hostname,
        version: OLD_VERSION,
        servers: [server.agents],
        caPem,
        credential,
        restartMs,
        loopLimits,
        updateLimits,
        prepare: (platform) => {
          platform.before("probe", () => sleep(probeMs));
          platform.before("swap", () => sleep(swapMs));
        },
      }),
    );
    await host.log.until("connected");
    hosts.push({ host, hostId, dispatchAfterMs: random.between(0, KILL_AFTER_MS) });
  }
  const awayMs = random.between(5_000, 85_000) / SCALE;
  const asked = hosts.map(async ({ hostId, dispatchAfterMs }) => {
    await sleep(dispatchAfterMs);
    await fleet.updateHost({ hostId }).catch(() => undefined);
  });
  await sleep(KILL_AFTER_MS);
  await server.kill();
  await Promise.all(asked);
  await sleep(awayMs);
  await server.start();
  return await Promise.all(hosts.map(({ host, hostId }) => outcomeOf(host, hostId)));

  async function outcomeOf(host: MemoryHost, hostId: string): Promise<string> {
    const [job] = (await fleet.listJobs({ hostId })).jobs;
    // The server died before it wrote the job down, and whoever asked was told so.
    const { id } = job ?? (await fleet.updateHost({ hostId })).job ?? { id: "" };
    const ended = await untilEnded(fleet, id);
    const facts = `swaps ${host.swaps}, ${ended.details?.detail ?? ""}`;
    return ended.state === JobState.SUCCEEDED && host.swaps === 1
      ? "succeeded"
      : `${JobState[ended.state]} reason ${ended.reason} (${facts})`;
  }
}

const seeds = Array.from({ length: ROUNDS }, (_, index) => index + 1);
const groups = seeds
  .filter((_, index) => index % LANES === 0)
  .map((first) => seeds.slice(first - 1, first - 1 + LANES));

test.each(groups.map((group) => [group] as const))(
  "good builds succeed although their server goes away (ten hosts each, seeds %j)",
  async (group) => {
    const outcomes = await Promise.all(group.map(runRound));
    expect(outcomes).toEqual(group.map(() => Array.from({ length: HOSTS }, () => "succeeded")));
  },
  120_000,
);
