/** `run`: stays connected and updates this program when told to. Ends when asked to stop or replaced. */
import { keepServerAccess, openServerAccess } from "./access-file.ts";
import { AccessKeeper } from "./access-keeper.ts";
import { canReach } from "./reach.ts";
import { choosePlatform } from "./updater/choose-platform.ts";
import { builtVersion } from "../gen/version.ts";
import type { Clock, Random } from "./clock.ts";
import { CredentialHolder } from "./credential-holder.ts";
import type { AgentPaths } from "./command-line.ts";
import { loadConfig } from "./config-file.ts";
import { createHello, type ProcessFacts } from "./hello.ts";
import { readHostFacts } from "./host-facts.ts";
import { loadIdentity } from "./identity.ts";
import { LinkKeeper } from "./link-keeper.ts";
import type { Log } from "./log.ts";
import { AGENT_PACKAGE, ownVersion } from "./own-version.ts";
import { OWN_KEYS_SEQUENCE, OWN_ROOTS, OWN_SEQUENCE } from "./own-trust.ts";
import { createSourcesPlatform } from "./sources-platform.ts";
import { chooseProxy } from "./proxy/choose-proxy.ts";
import { openChannel } from "./stream/channel.ts";
import { HeadStart } from "./stream/head-start.ts";
import { rotated, runSessionLoop } from "./stream/session-loop.ts";
import type { PlatformOptions } from "./updater/binary-platform.ts";
import type { JobLog } from "./updater/job-log.ts";
import { createTrustFile } from "./updater/trust-file.ts";
import { openTrustStore, type TrustStore } from "./updater/trust-store.ts";
import { updatePaths } from "./updater/update-paths.ts";
import type { UpdatePlatform } from "./updater/update-platform.ts";
import { UpdateRunner } from "./updater/update-runner.ts";

/** Runs until `signal` is aborted or the binary was replaced. *Throws* OperatorError when it cannot start. */
export async function runAgent(
  paths: AgentPaths,
  clock: Clock,
  random: Random,
  log: Log,
  jobLog: JobLog,
  signal: AbortSignal,
): Promise<void> {
  const config = await loadConfig(paths.configPath);
  const identity = await loadIdentity(paths.stateDir);
  const proxyTo = (server: string) => chooseProxy(config, server);
  const known = await openServerAccess(config, paths);
  const access = new AccessKeeper({
    // A fleet whose hosts all began with the first server would have one server.
    access: { ...known, servers: rotated(known.servers, Math.floor(random.next() * known.servers.length)) },
    canReach: (next) => canReach(next, proxyTo, clock),
    keep: (next) => keepServerAccess(next, config, paths),
    clock,
    random,
    log,
  });
  using headStart = new HeadStart(access.servers, (server) => openChannel(server, access.roots, proxyTo(server)));
  const version = ownVersion();
  const trust = await openTrust(paths.stateDir, log);
  const platform = openPlatform({ ...paths, ownVersion: version, trust, jobLog, clock });
  const settlement = await platform.settle();
  const facts: ProcessFacts = {
    host: readHostFacts(config.hostname),
    version,
    instanceId: random.uuid(),
    installRevision: config.installRevision,
  };
  log.info("started", {
    version,
    host_id: identity.hostId,
    instance_id: facts.instanceId,
    last_update: settlement.kind,
    sequence_floor: trust.sequenceFloor,
    keys_sequence: trust.keysSequence,
  });
  if (facts.host.os === "windows")
    log.warn("experimental_platform", { cause: "the agent for Windows is experimental: no real host was updated yet" });
  const credentials = new CredentialHolder(paths.stateDir, identity, log);
  await using runner = new UpdateRunner({
    platform,
    trust,
    settlement,
    ownPackage: AGENT_PACKAGE,
    ownVersion: version,
    reserveBytes: config.reserveBytes,
    clock,
    random,
    log,
  });
  const link = new LinkKeeper(
    runner,
    (next) => credentials.rotate(next),
    log,
    config.followsServer ? access : undefined,
  );
  const stop = new AbortController();
  const loop = runSessionLoop(
    {
      servers: () => access.servers,
      openChannel: (server) => headStart.openChannel(server),
      proxyTo,
      credential: () => credentials.current,
      hello: () => createHello(facts, runner.hello(), trust),
      isUrgent: () => runner.isUrgent,
      listener: link,
      clock,
      random,
      log,
    },
    AbortSignal.any([signal, stop.signal]),
  );
  // The session stays open through the swap and says goodbye after it, so that the server sees no loss.
  await Promise.race([loop, runner.replaced.then(() => link.sayGoodbye(clock))]);
  stop.abort();
  await loop;
  log.info("stopped");
}

async function openTrust(stateDir: string, log: Log): Promise<TrustStore> {
  const file = createTrustFile(updatePaths(process.execPath, stateDir));
  const build = { roots: OWN_ROOTS, sequence: OWN_SEQUENCE, keysSequence: OWN_KEYS_SEQUENCE };
  const trust = await openTrustStore(file, build);
  if (trust.problem !== undefined) log.error("trust_damaged", { cause: trust.problem });
  else if (trust.keySet?.development === true) log.warn("development_keys", { keys_sequence: trust.keysSequence });
  return trust;
}

function openPlatform(options: Omit<PlatformOptions, "binaryPath">): UpdatePlatform {
  if (builtVersion() === undefined) return createSourcesPlatform();
  // Taken once: after a swap the system would name the predecessor.
  return choosePlatform({ binaryPath: process.execPath, ...options });
}
