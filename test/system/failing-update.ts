/** The built agent, asked for an update that cannot succeed, and what must be left untouched by it. */
import { copyFile, link, mkdtemp, realpath, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { digestFile } from "../../agent/updater/file-digest.ts";
import { HostStatus, JobReason, type Job } from "../../gen/rollcall/v1/model_pb.js";
import { layOutAgentHost, type AgentHost } from "../support/agent-host.ts";
import { AgentProcess } from "../support/agent-process.ts";
import { buildTestAgents, readBuildPublisher } from "../support/built-agent.ts";
import { NEW_VERSION, startControlPlane, type ControlPlane } from "../support/control-plane.ts";
import { writeTestRelease } from "../support/test-release.ts";
import { buildVersionElf } from "../support/tiny-elf.ts";

/** The older build and the folder that holds the hosts of one test file. */
export interface FailureSite extends AsyncDisposable {
  readonly folder: string;
  readonly binaryPath: string;
  readonly sha256: string;
  readonly sizeBytes: number;
  /** Starts a server whose target is a release that these agents trust and that holds `artifact`. */
  startPlane(artifact?: Buffer): Promise<ControlPlane>;
}

/** What a case changes about its host. */
export interface HostChanges {
  readonly reserveBytes?: number;
  /** Before the agent is put in its folder; what it mounts is undone after the agent's end. */
  readonly beforeBinary?: (host: AgentHost) => Promise<AsyncDisposable>;
  /** While the agent runs, before it is asked for the update. */
  readonly beforeUpdate?: (host: AgentHost) => Promise<AsyncDisposable>;
}

/** How an update ended, and what is not as it was before it. */
export interface FailedUpdate {
  readonly job: Job;
  readonly host: AgentHost;
  /** *Shape*: empty when the old binary stands and its process never noticed. */
  readonly disturbances: readonly string[];
}

const ARTIFACT_BYTES = 400_000;
/** After these the next attempt may go on from what was fetched. */
const INTERRUPTIONS: ReadonlySet<JobReason> = new Set([JobReason.DOWNLOAD_FAILED, JobReason.DIGEST_MISMATCH]);

/** Builds the agent, unless that was done before. */
export async function createFailureSite(): Promise<FailureSite> {
  const { older } = await buildTestAgents();
  const folder = await realpath(await mkdtemp(join(tmpdir(), "rollcall-failures-")));
  const binaryPath = join(folder, "rollcall-agent");
  await copyFile(older.binaryPath, binaryPath);
  const { sha256, sizeBytes } = await digestFile(binaryPath);
  const publisher = await readBuildPublisher();
  const startPlane = (artifact = buildVersionElf(NEW_VERSION, ARTIFACT_BYTES)): Promise<ControlPlane> =>
    startControlPlane({}, artifact, {}, async (root) => {
      await writeTestRelease(join(root, "releases"), { version: NEW_VERSION, sequence: 2, artifact, publisher });
    });
  return {
    folder,
    binaryPath,
    sha256,
    sizeBytes,
    startPlane,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
}

/** Runs one agent, has it updated and waits for the end of the job. */
export async function failUpdate(
  site: FailureSite,
  plane: ControlPlane,
  hostname: string,
  changes: HostChanges = {},
): Promise<FailedUpdate> {
  await using mounted = new AsyncDisposableStack();
  const { reserveBytes } = changes;
  const order = { folder: join(site.folder, hostname), hostname, fleet: plane.fleet, server: plane, reserveBytes };
  const host = await layOutAgentHost(order);
  const own = await changes.beforeBinary?.(host);
  if (own === undefined) await link(site.binaryPath, host.paths.binary);
  else {
    mounted.use(own);
    await copyFile(site.binaryPath, host.paths.binary);
  }
  await using agent = await AgentProcess.start(host);
  mounted.use(await changes.beforeUpdate?.(host));
  const { job } = await plane.fleet.updateHost({ hostId: host.hostId });
  const ended = await plane.untilEnded(job?.id ?? "");
  return { job: ended, host, disturbances: await findDisturbances(site, plane, host, agent, ended) };
}

async function findDisturbances(
  site: FailureSite,
  plane: ControlPlane,
  { paths, hostId }: AgentHost,
  agent: AgentProcess,
  { reason }: Job,
): Promise<readonly string[]> {
  const found: string[] = [];
  if ((await digestFile(paths.binary)).sha256 !== site.sha256) found.push("the binary is another");
  for (const path of [paths.old, paths.oldTemporary, paths.journal])
    if (await exists(path)) found.push(`${path} was left`);
  if (!INTERRUPTIONS.has(reason) && (await exists(paths.staged))) found.push(`${paths.staged} was left`);
  if (!agent.isRunning) found.push("the agent ended");
  if (agent.events.includes("disconnected")) found.push("the session was lost");
  const { host } = await plane.fleet.getHost({ hostId });
  if (host?.status !== HostStatus.ONLINE) found.push("the server does not see it");
  return found;
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
