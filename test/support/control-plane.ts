/**
 * The whole server in the test's own process, on a database of its own, with real
 * listeners on free ports and durations that suit a test.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient, type Client } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { FleetService } from "../../gen/rollcall/v1/fleet_pb.js";
import type { Job } from "../../gen/rollcall/v1/model_pb.js";
import { JobState } from "../../gen/rollcall/v1/model_pb.js";
import { readConfig } from "../../server/config.ts";
import { DEFAULT_DURATIONS, type Durations } from "../../server/domain/durations.ts";
import { startServer } from "../../server/start.ts";
import { ScriptedAgent } from "./scripted-agent.ts";
import { createTestDatabase, type TestDatabase } from "./test-database.ts";
import { writeTestRelease } from "./test-release.ts";
import { buildVersionElf } from "./tiny-elf.ts";

export const OLD_VERSION = "1.0.0";
export const NEW_VERSION = "2.0.0";
const ARTIFACT_BYTES = 400_000;

/** A server under test. */
export interface ControlPlane extends AsyncDisposable {
  readonly web: string;
  readonly agents: string;
  readonly adminToken: string;
  readonly caPem: string;
  readonly releasesDir: string;
  readonly dataDir: string;
  readonly database: TestDatabase;
  readonly fleet: Client<typeof FleetService>;
  /** Lines of the server's log, as written. */
  readonly log: readonly string[];
  /** An agent with a credential of its own. */
  enrollAgent(hostname: string): Promise<ScriptedAgent & { readonly hostId: string }>;
  /** Waits until the job has ended. */
  untilEnded(jobId: string): Promise<Job>;
}

/**
 * Starts one whose target is NEW_VERSION, a release that holds `artifact`. `prepare` changes its `data` and
 * `releases` folders before.
 */
export async function startControlPlane(
  durations: Partial<Durations> = {},
  artifact = buildVersionElf(NEW_VERSION, ARTIFACT_BYTES),
  environment: Readonly<Record<string, string>> = {},
  prepare: (folder: string) => Promise<void> = async () => undefined,
): Promise<ControlPlane> {
  await using parts = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "rollcall-control-plane-"));
  parts.defer(() => rm(folder, { recursive: true, force: true }));
  const releasesDir = join(folder, "releases");
  await writeTestRelease(releasesDir, { version: NEW_VERSION, sequence: 2, artifact });
  await prepare(folder);
  const database = parts.use(await createTestDatabase());
  const log: string[] = [];
  const config = readConfig([], {
    ROLLCALL_DATA_DIR: join(folder, "data"),
    ROLLCALL_RELEASES_DIR: releasesDir,
    ROLLCALL_WEB_LISTEN: "127.0.0.1:0",
    ROLLCALL_AGENT_LISTEN: "127.0.0.1:0",
    ROLLCALL_DATABASE_URL: database.url,
    ...environment,
  });
  const server = parts.use(
    await startServer({
      config,
      version: NEW_VERSION,
      log: (level, event, fields) => log.push(JSON.stringify({ level, event, ...fields })),
      signal: new AbortController().signal,
      durations: { ...DEFAULT_DURATIONS, tickIntervalMs: 100, ...durations },
    }),
  );
  const adminToken = (await readFile(join(folder, "data", "admin-token"), "utf8")).trim();
  const caPem = await readFile(join(folder, "data", "tls", "ca.crt"), "utf8");
  const fleet = createFleetClient(server.web, adminToken, caPem);
  const running = parts.move();
  return {
    web: server.web,
    agents: server.agents,
    adminToken,
    caPem,
    releasesDir,
    dataDir: join(folder, "data"),
    database,
    fleet,
    log,
    enrollAgent: async (hostname) => {
      const { token } = await fleet.createEnrollmentToken({ label: hostname });
      const agent = new ScriptedAgent({ address: server.agents, caPem });
      running.use(agent);
      const { hostId, credential } = await agent.enroll({ token, hostname, os: "linux", arch: "x64" });
      agent.credential = credential;
      return Object.assign(agent, { hostId });
    },
    untilEnded: (jobId) => untilEnded(fleet, jobId),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** A generated client with a token, and an authority to believe where there is TLS. */
export function createFleetClient(web: string, token: string, caPem?: string): Client<typeof FleetService> {
  return createClient(
    FleetService,
    createConnectTransport({
      baseUrl: web,
      httpVersion: "1.1",
      ...(web.startsWith("https:") && caPem !== undefined ? { nodeOptions: { ca: caPem } } : {}),
      interceptors: [
        (next) => (request) => {
          request.header.set("authorization", `Bearer ${token}`);
          return next(request);
        },
      ],
    }),
  );
}

const ENDED: readonly JobState[] = [JobState.SUCCEEDED, JobState.FAILED, JobState.ROLLED_BACK, JobState.CANCELLED];

/** Watches the fleet until the job has ended. */
export async function untilEnded(fleet: Client<typeof FleetService>, jobId: string): Promise<Job> {
  const leaving = new AbortController();
  try {
    for await (const { change } of fleet.watchFleet({}, { signal: leaving.signal })) {
      if (change.case === "job" && change.value.id === jobId && ENDED.includes(change.value.state)) return change.value;
      // What ended before the watch began is in no change.
      if (change.case === "caughtUp") {
        const { job } = await fleet.getJob({ jobId });
        if (job !== undefined && ENDED.includes(job.state)) return job;
      }
    }
  } finally {
    leaving.abort();
  }
  throw new Error(`the watch ended before job ${jobId} did`);
}
