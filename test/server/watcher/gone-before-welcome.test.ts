import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { HelloSchema } from "../../../gen/rollcall/v1/agent_pb.js";
import { DEFAULT_DURATIONS } from "../../../server/domain/durations.ts";
import type { HostId, JobId, SessionEpoch } from "../../../server/domain/ids.ts";
import type { Job } from "../../../server/domain/job.ts";
import type { AgentSession } from "../../../server/stream/ports.ts";
import { HostMailboxes } from "../../../server/watcher/host-mailboxes.ts";
import { OpenJobHosts } from "../../../server/watcher/open-job-hosts.ts";
import type { UpdateStore, UpdateTransaction } from "../../../server/watcher/ports.ts";
import { SessionWatcher } from "../../../server/watcher/session-watcher.ts";
import { realClock } from "../../support/real-clock.ts";

const HOST = "11111111-1111-4111-8111-111111111111" as HostId;
const AT = new Date(0);

/** A committed update from 1.0.0 to 2.0.0. */
const JOB: Job = {
  id: "22222222-2222-4222-8222-222222222222" as JobId,
  hostId: HOST,
  kind: "update",
  package: "rollcall-agent",
  fromVersion: "1.0.0",
  toVersion: "2.0.0",
  manifestSha256: new Uint8Array(32),
  state: { name: "restarting" },
  bytesDone: 1,
  bytesTotal: 1,
  bytesDelivered: 1,
  bytesSaved: 0,
  ignoreQuarantine: false,
  fleetUpdateId: null,
  requestedBy: "ada",
  createdAt: AT,
  changedAt: AT,
  committedAt: AT,
  endedAt: null,
  deadlineAt: AT,
};

/** What a Hello asks of a transaction, of a store that holds this one job. */
const transaction: Partial<UpdateTransaction> = {
  openSession: async () => ({
    epoch: 7n as SessionEpoch,
    credentialGeneration: 1,
    isRotationDue: false,
    replacedElsewhere: undefined,
    targetVersion: "2.0.0",
  }),
  resolveAlerts: async () => undefined,
  lockOpenJob: async () => JOB,
  saveJobState: async (_, state) => ({ ...JOB, state, endedAt: AT }),
  writeAuditEvent: async () => undefined,
};

test("the end of a job that a Hello brought is told although its stream is gone before the Welcome", async () => {
  const store: Partial<UpdateStore> = {
    transactionOf: (_, work) => work(transaction as UpdateTransaction),
  };
  const ended: Job[] = [];
  const watcher = new SessionWatcher({
    store: store as UpdateStore,
    mailboxes: new HostMailboxes(),
    changes: { hostChanged: () => undefined, jobChanged: (job) => ended.push(job), everythingChanged: () => undefined },
    reachPoint: () => undefined,
    openJobs: new OpenJobHosts(),
    clock: realClock,
    durations: DEFAULT_DURATIONS,
    serverVersion: "2.0.0",
    nextCredential: () => "",
    access: () => ({ servers: [], authoritiesPem: "" }),
    log: () => undefined,
  });
  const session: AgentSession = {
    hostId: HOST,
    instanceId: "33333333-3333-4333-8333-333333333333",
    credentialGeneration: 1,
    peer: "127.0.0.1:1",
    send: () => false,
    end: () => undefined,
  };
  const hello = create(HelloSchema, { agentVersion: "2.0.0", os: "linux", arch: "x64", hostname: "web-1" });
  // Whoever holds the stream sees that it ended, and calls nothing of what this answers with.
  await watcher.opened(hello, session, undefined);
  expect(ended.map(({ state }) => state.name)).toEqual(["succeeded"]);
});
