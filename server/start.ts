/** Puts the server together. The one place that knows every concrete part. */
import { hostname } from "node:os";
import { join } from "node:path";
import { createAccountParts } from "./account-parts.ts";
import { announceSetupLink, withdrawSetupLink } from "./announce-setup-link.ts";
import { loadAdminToken } from "./api/admin-token.ts";
import { ChangeFeed } from "./api/change-feed.ts";
import { loadDashboard } from "./api/dashboard.ts";
import { createWebHandler, UPLOAD_PATHS, WEB_SERVICES } from "./api/web-handler.ts";
import { listenForWeb } from "./api/web-listener.ts";
import { RetentionLoop } from "./retention/retention-loop.ts";
import { AuditSealer } from "./audit/audit-sealer.ts";
import { prepareDataFolder } from "./backup/restored-folder.ts";
import { systemClock as clock, systemRandom as random } from "./clock-system.ts";
import { certificateOptions } from "./certificate-options.ts";
import { agentAddresses, isWebTls, webHostnames, type Config } from "./config.ts";
import { openConfiguredDatabase } from "./database.ts";
import { BlockStore } from "./delivery/block-store.ts";
import { DEFAULT_DURATIONS, type Durations } from "./domain/durations.ts";
import type { HostId } from "./domain/ids.ts";
import type { Job } from "./domain/job.ts";
import { createReachPoint } from "./fault-points.ts";
import { HostDesk } from "./host/host-desk.ts";
import { createIdentities } from "./identity-parts.ts";
import { InstallOffer } from "./install-offer.ts";
import { formatAddress, webUrl } from "./listener-urls.ts";
import { AGENT_FOLDER, DASHBOARD_FOLDER } from "./folders.ts";
import type { Log } from "./log.ts";
import { createServerMetrics } from "./metrics/server-metrics.ts";
import { createNotifications } from "./notifications.ts";
import { createReleaseParts } from "./release-parts.ts";
import { startReplicaParts, writeTakeover } from "./replica-parts.ts";
import { AnnouncedChanges } from "./replicas/announced-changes.ts";
import { NoticeBoard } from "./replicas/notice-board.ts";
import { loadCredentialKey, loadReplicaId } from "./secrets.ts";
import { agreeOnAuthority, agreeOnCredentialKey, checkReleasesFolder } from "./shared-keys.ts";
import { createApiReader } from "./store/api-reader.ts";
import { createAuditSealStore } from "./store/audit-seals.ts";
import { createHostStore } from "./store/host-store.ts";
import { createFleetStore } from "./store/fleet-store.ts";
import { openReplicaStore } from "./store/replica-store.ts";
import { createRetentionStore } from "./store/retention.ts";
import { createDeadlineStore, createUpdateStore } from "./store/update-store.ts";
import type { CertificatePair } from "./stream/certificate-authority.ts";
import { loadCertificates } from "./stream/certificate-files.ts";
import { renewCertificates } from "./stream/certificate-renewal.ts";
import { DeliveryTurns } from "./stream/delivery-turns.ts";
import type { ListenerLimits } from "./stream/limits.ts";
import { listenForAgents } from "./stream/listener.ts";
import { writeDurably } from "./stream/write-durably.ts";
import { ServingStatus } from "./wire/serving-status.ts";
import { DeadlineLoop } from "./watcher/deadline-loop.ts";
import { FleetDesk } from "./worker/fleet-desk.ts";
import { FleetUpdateLoop } from "./worker/fleet-update-loop.ts";
import { HostMailboxes } from "./watcher/host-mailboxes.ts";
import { OpenJobHosts } from "./watcher/open-job-hosts.ts";
import { SessionWatcher } from "./watcher/session-watcher.ts";
import { acknowledgeAlert, removeHost } from "./watcher/operator-acts.ts";
import { endJobOfReplaced } from "./watcher/replaced-host.ts";
import { UpdateDesk } from "./watcher/update-desk.ts";

/** A running server. Disposing drains its agents, then stops everything it started. */
export interface RunningServer extends AsyncDisposable {
  /** `http://<address>:<port>`, or https. */
  readonly web: string;
  /** `<address>:<port>` */
  readonly agents: string;
  /** Aborts when this server has to end by itself. */
  readonly lost: AbortSignal;
}

const DRAIN_GRACE_MS = 3_000;

/** What a server is started with. */
export interface ServerOptions {
  readonly config: Config;
  readonly version: string;
  readonly log: Log;
  /** Ends a start that is under way. */
  readonly signal: AbortSignal;
  /** Writes to the person who started the server; without one, what they must know goes into files. */
  readonly terminal?: ((text: string) => void) | undefined;
  readonly durations?: Durations;
  readonly limits?: Partial<ListenerLimits>;
}

/** Starts a server. *Throws* Error with a sentence for the operator; then nothing is left running. */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { config, version, log, signal, durations = DEFAULT_DURATIONS, limits = {} } = options;
  await using parts = new AsyncDisposableStack();
  await prepareDataFolder(config.dataDir);
  const adminToken = await loadAdminToken(join(config.dataDir, "admin-token"), random, (path, text) =>
    writeDurably(path, text, 0o600),
  );
  const credentialKey = await loadCredentialKey(config.dataDir, random);
  const replicaId = await loadReplicaId(config.dataDir, random);
  const metrics = parts.use(createServerMetrics(version, clock));
  const database = parts.use(await openConfiguredDatabase(config, clock, log, metrics.meterDatabase, signal));
  const { db } = database;
  const isShared = database.notices !== undefined;
  if (isShared) await agreeOnCredentialKey(db, config, credentialKey);

  const board = parts.use(new NoticeBoard({ channel: database.notices, replicaId, clock, log }));
  // Before anything is read that another server may change.
  await board.start();
  const reader = createApiReader(database.readingDb);
  const feed = parts.use(
    new ChangeFeed(reader, clock, random, (error) => log("warn", "change feed", { error: String(error) })),
  );
  const changes = new AnnouncedChanges(feed, board);
  const releases = createReleaseParts({ db, config, replicaId, version, random, log, board, changes });
  const { folders, catalog, importer } = releases;
  const notifications = createNotifications({ db, config, clock, random, durations, log });
  parts.use(notifications.loop).start();
  const alertsChanged = (ids: readonly string[]): void => {
    changes.alertsChanged(ids);
    notifications.loop.wake();
  };
  const storeOptions = { replicaId, durations, hostsToQuarantine: config.hostsToQuarantine, alertsChanged };
  const identities = createIdentities({
    db,
    storeOptions,
    credentialKey,
    random,
    board,
    hostChanged: (hostId) => changes.hostChanged(hostId),
    disconnect: (hostId, reason) => agents.disconnect(hostId, reason),
    endJob: (tx, hostId) => endJobOfReplaced(interpreter, tx, hostId),
  });
  const reachPoint = createReachPoint(config.faultPoint);
  const wakeFleetLoop = (): void => {
    fleetLoop.wake();
    board.tell("fleet_loop");
  };
  const updateStore = createUpdateStore(db, { ...storeOptions, clock });
  const openJobs = new OpenJobHosts();
  openJobs.load(await updateStore.listOpenJobs());
  const mailboxes = new HostMailboxes((hostId) => board.tell("errand", hostId));
  const interpreter = {
    store: updateStore,
    mailboxes,
    changes: {
      hostChanged: (hostId: HostId) => changes.hostChanged(hostId),
      jobChanged: (job: Job) => {
        changes.jobChanged(job);
        metrics.jobChanged(job);
        openJobs.jobChanged(job);
        if (job.fleetUpdateId !== null) wakeFleetLoop();
      },
      everythingChanged: () => changes.everythingChanged(),
    },
    reachPoint,
  };
  const desk = new UpdateDesk(interpreter, random);
  const fleetStore = createFleetStore(db, storeOptions);
  const fleetLoop = new FleetUpdateLoop({
    store: fleetStore,
    dispatch: desk,
    changes,
    clock,
    durations,
    log,
    reachPoint,
  });
  const nextCredential = (hostId: HostId, generation: number): string => identities.nextCredential(hostId, generation);
  const watcher = new SessionWatcher({
    ...interpreter,
    openJobs,
    tookOver: (takeover) => board.tell("session", writeTakeover(takeover)),
    clock,
    durations,
    serverVersion: version,
    nextCredential,
    access: () => ({ servers: config.agentUrls, authoritiesPem: certificate.caPem ?? "" }),
    log,
  });
  const deadlines = createDeadlineStore(db, storeOptions);
  const replicaStore = await openReplicaStore(database.leaseDb, storeOptions);
  const known = (await reader.listReleases()).map((release) => release.version);
  await folders.removeLeftovers((release) => known.includes(release));
  if (isShared) checkReleasesFolder(config, known, await folders.list());
  await importer.importFolders();
  await catalog.followServerVersion();
  const blocks = parts.use(new BlockStore({ folder: join(config.dataDir, "block-cache"), log }));
  await blocks.keepOnly(
    (await reader.listReleases()).flatMap(({ artifacts }) => artifacts.map(({ sha256 }) => sha256)),
  );
  const turns = new DeliveryTurns(config.delivery, clock);
  const waitingJobs = (): readonly string[] => turns.waitingJobs;
  const loop = parts.use(new DeadlineLoop({ ...interpreter, deadlines, waitingJobs, clock, durations, log }));
  await loop.start();

  const auditLog = createAuditSealStore(db);
  parts.use(new AuditSealer({ store: auditLog, clock, intervalMs: durations.auditSealIntervalMs, log })).start();
  const retention = createRetentionStore(db, replicaId);
  parts.use(new RetentionLoop({ store: retention, lifetimes: config.lifetimes, clock, log })).start();

  const streamLog = {
    refused: metrics.refused,
    unexpected: (where: string, error: unknown) =>
      log("error", "unexpected failure", { where, error: describe(error) }),
  };
  const tlsOptions = certificateOptions(config, clock, random);
  const certificate = await loadCertificates(tlsOptions);
  if (isShared) await agreeOnAuthority(db, config, certificate.authorities);
  let served: CertificatePair = certificate;
  const agents = await listenForAgents({
    ...config.agentListen,
    certificate,
    credentials: identities,
    enrollment: identities,
    handler: metrics.meterHellos(watcher),
    deliveries: catalog,
    blocks,
    turns,
    accounts: metrics.meterDeliveries(updateStore),
    clock,
    random,
    log: streamLog,
    limits,
  });
  parts.defer(() => agents.drain({ graceMs: DRAIN_GRACE_MS }));
  const accounts = createAccountParts({
    db,
    adminToken,
    clock,
    random,
    board,
    onError: (error) => log("warn", "looking up open streams' callers", { error: describe(error) }),
    firstUserCreated: () =>
      void withdrawSetupLink(config.dataDir).catch((error: unknown) =>
        log("warn", "the used setup link's file could not be removed", { error: describe(error) }),
      ),
  });
  parts.use(accounts.openCallers);
  const offer = new InstallOffer({
    agentFolder: AGENT_FOLDER,
    rootKeysPath: config.rootKeysPath,
    publicOrigin: config.publicUrl,
    ownOrigin: () => webUrl(config, web),
    isTls: isWebTls(config),
    certificate: () => ({ certPem: served.certPem, caPem: certificate.caPem }),
    agentAddresses: (webHostname) => agentAddresses(config, agents.address.port, webHostname, hostname()),
  });
  const disconnect = (hostId: HostId, reason: Error): void => {
    identities.generations.forget([hostId]);
    agents.disconnect(hostId, reason);
    board.tell("host_removed", hostId);
  };
  const setupPage = (): string => `${config.publicUrl ?? webUrl(config, web)}/setup`;
  const serving = new ServingStatus(WEB_SERVICES);
  const metricSources = {
    streams: () => ({ sessions: agents.sessions.size, ...agents.counts }),
    deliveries: () => turns.counts,
    reader,
  };
  const handler = createWebHandler({
    reader,
    updates: desk,
    hosts: new HostDesk({ store: createHostStore(db, alertsChanged), changes }),
    rollout: new FleetDesk({ store: fleetStore, random, changes, wake: wakeFleetLoop }),
    removeHost: (hostId: HostId, actor: string) => removeHost(interpreter, disconnect, hostId, actor),
    acknowledgeAlert: (id: string, actor: string) => acknowledgeAlert(interpreter, id, actor),
    serverVersion: version,
    releases: releases.desk,
    listReleases: () => reader.listReleases(),
    deliveryCounts: () => turns.counts,
    tokens: identities,
    mayInstall: (bearer: string) => identities.mayInstall(bearer),
    downloads: releases.downloads,
    install: offer,
    installCommand: (origin: string, token: string) => offer.command(origin, token),
    windowsInstallCommand: (origin: string, token: string) => offer.windowsCommand(origin, token),
    reinstallCommand: (os: string, origin: string) => offer.renewal(os, origin),
    feed,
    clock,
    ...accounts,
    channels: notifications.desk,
    auditLog,
    setupPage,
    metrics: { contentType: metrics.contentType, render: () => metrics.render(metricSources) },
    serving,
    dashboard: await loadDashboard(DASHBOARD_FOLDER),
    hostnames: webHostnames(config, hostname()),
    reach: { isTls: isWebTls(config), trustedProxy: config.trustedProxy, publicOrigin: config.publicUrl },
    refused: metrics.refused,
    logFailure: (method, error) => log("error", "request failed", { method, error: describe(error) }),
  });
  const web = parts.use(
    await listenForWeb({
      ...config.webListen,
      handler,
      certificate: isWebTls(config) ? certificate : undefined,
      onlyPeer: config.trustedProxy,
      clock,
      uploadPaths: UPLOAD_PATHS,
    }),
  );
  parts.defer(() => serving.stop());
  parts.use(
    renewCertificates(tlsOptions, certificate, streamLog, (renewed) => {
      agents.renewCertificate(renewed);
      web.renewCertificate(renewed);
      served = renewed;
    }),
  );
  const link = await accounts.prepareFirstAdmin(config.firstAdmin);
  if (link === undefined) await withdrawSetupLink(config.dataDir);
  else {
    const url = `${setupPage()}#${link.token}`;
    await announceSetupLink({ url, expiresAt: link.expiresAt }, config.dataDir, options.terminal, log);
  }

  const taken = new AbortController();
  parts.use(
    startReplicaParts({
      board,
      store: replicaStore,
      errands: updateStore,
      agents,
      mailboxes,
      watcher,
      fleetLoop,
      openCallers: accounts.openCallers,
      changes,
      clock,
      durations,
      log,
      onTaken: () => taken.abort(new Error("another server was started with this one's data directory")),
    }),
  );
  // Stopped first: nothing is sent to agents that are being sent away.
  parts.use(fleetLoop).start();

  const running = parts.move();
  return {
    web: `${isWebTls(config) ? "https" : "http"}://${formatAddress(web.address)}`,
    agents: formatAddress(agents.address),
    lost: AbortSignal.any([database.lost, taken.signal]),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
