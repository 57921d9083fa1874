import type { ServiceImpl } from "@connectrpc/connect";
import type { FleetService } from "../../gen/rollcall/v1/fleet_pb.js";
import type { Clock } from "../domain/clock.ts";
import { RefusedError } from "../domain/errors.ts";
import type { Host } from "../domain/host.ts";
import { isId, type FleetUpdateId, type HostId, type JobId } from "../domain/ids.ts";
import type { Job } from "../domain/job.ts";
import type { Labels } from "../domain/labels.ts";
import { fromWireLabels } from "../wire/wire-labels.ts";
import { callerKey } from "./caller.ts";
import type { ChangeFeed, FleetReader } from "./change-feed.ts";
import { cutPage, decodeInstantToken, decodePageToken, pageSize } from "./page-token.ts";
import { requestFactsKey } from "./request-facts.ts";
import { watchFleet, type SnapshotReader } from "./watch-fleet.ts";
import { toWireCounts, toWireHost, toWireJob } from "./wire-fleet.ts";

/** What the handlers read. */
export interface HostReader extends FleetReader, SnapshotReader {
  listHosts(query: {
    readonly after?: { readonly hostname: string; readonly id: HostId };
    readonly labels?: Labels;
    readonly isArchived?: boolean;
    readonly limit: number;
  }): Promise<readonly Host[]>;
  findJob(id: JobId): Promise<Job | undefined>;
  findJobLog(id: JobId): Promise<readonly string[]>;
  listJobs(query: {
    readonly hostId?: HostId;
    readonly after?: { readonly createdAt: Date; readonly id: JobId };
    readonly limit: number;
  }): Promise<readonly Job[]>;
}

/** Where updates are asked for and called off. */
export interface UpdatePort {
  dispatch(request: {
    readonly hostId: HostId;
    readonly requestedBy: string;
    readonly ignoreQuarantine: boolean;
    readonly fleetUpdateId: FleetUpdateId | null;
  }): Promise<Job>;
  cancel(jobId: string, actor: string): Promise<Job>;
}

/** Where hosts are named, labelled, archived and brought back. */
export interface HostPort {
  edit(
    edit: {
      readonly hostId: HostId;
      readonly displayName: string | undefined;
      readonly labels: { readonly set: Labels; readonly remove: readonly string[] };
    },
    actor: string,
  ): Promise<void>;
  archive(hostId: HostId, actor: string): Promise<void>;
  unarchive(hostId: HostId, actor: string): Promise<void>;
}

/** What the handlers work with. */
export interface HostParts {
  readonly reader: HostReader;
  readonly updates: UpdatePort;
  readonly hosts: HostPort;
  /** Revokes a host's credential and ends its stream. */
  readonly removeHost: (hostId: HostId, actor: string) => Promise<void>;
  /** The line that renews what stands on a host. `origin` is where whoever asks reached this server. */
  readonly reinstallCommand: (os: string, origin: string) => string;
  readonly feed: ChangeFeed;
  readonly clock: Clock;
}

/** Hosts, their jobs, and the stream of changes. */
export function createHostHandlers(parts: HostParts) {
  const { reader, updates, hosts, removeHost, reinstallCommand, feed, clock } = parts;
  return {
    async listHosts(request) {
      const limit = pageSize(request.pageSize);
      const isPosition = ([, id]: unknown[]): boolean => typeof id === "string" && isId(id);
      const token = decodePageToken<[string, HostId]>(request.pageToken, isPosition);
      const after = token && { after: { hostname: token[0], id: token[1] } };
      const labels = fromWireLabels(request.labels, "labels");
      const found = await reader.listHosts({ ...after, labels, isArchived: request.archived, limit: limit + 1 });
      const { page, nextPageToken } = cutPage(found, limit, (last) => [last.hostname, last.id]);
      return { hosts: page.map(toWireHost), nextPageToken, counts: toWireCounts(await reader.countHosts()) };
    },

    async getHost(request, context) {
      const host = toWireHost(await findHost(reader, request.hostId as HostId));
      return { host, reinstallCommand: reinstallCommand(host.os, context.values.get(requestFactsKey).origin) };
    },

    async updateHost(request, context) {
      const job = await updates.dispatch({
        hostId: request.hostId as HostId,
        requestedBy: context.values.get(callerKey).name,
        ignoreQuarantine: request.ignoreQuarantine,
        fleetUpdateId: null,
      });
      return { job: toWireJob(job) };
    },

    async editHost(request, context) {
      const hostId = request.hostId as HostId;
      const labels = { set: fromWireLabels(request.setLabels, "setLabels"), remove: request.removeLabels };
      await hosts.edit({ hostId, displayName: request.displayName, labels }, context.values.get(callerKey).name);
      return { host: toWireHost(await findHost(reader, hostId)) };
    },

    async archiveHost(request, context) {
      const hostId = request.hostId as HostId;
      await hosts.archive(hostId, context.values.get(callerKey).name);
      return { host: toWireHost(await findHost(reader, hostId)) };
    },

    async unarchiveHost(request, context) {
      const hostId = request.hostId as HostId;
      await hosts.unarchive(hostId, context.values.get(callerKey).name);
      return { host: toWireHost(await findHost(reader, hostId)) };
    },

    async removeHost(request, context) {
      await removeHost(request.hostId as HostId, context.values.get(callerKey).name);
      return {};
    },

    async cancelJob(request, context) {
      return { job: toWireJob(await updates.cancel(request.jobId, context.values.get(callerKey).name)) };
    },

    async getJob({ jobId }) {
      const job = await reader.findJob(jobId as JobId);
      if (job === undefined) throw jobUnknown(jobId);
      return { job: toWireJob(job) };
    },

    async getJobLog({ jobId }) {
      if ((await reader.findJob(jobId as JobId)) === undefined) throw jobUnknown(jobId);
      return { lines: [...(await reader.findJobLog(jobId as JobId))] };
    },

    async listJobs(request) {
      const limit = pageSize(request.pageSize);
      const token = decodeInstantToken(request.pageToken);
      const hostId = request.hostId === "" ? undefined : (request.hostId as HostId);
      if (hostId !== undefined) await findHost(reader, hostId);
      const jobs = await reader.listJobs({
        ...(hostId && { hostId }),
        ...(token && { after: { createdAt: token.at, id: token.id as JobId } }),
        limit: limit + 1,
      });
      const { page, nextPageToken } = cutPage(jobs, limit, (last) => [last.createdAt.toISOString(), last.id]);
      return { jobs: page.map(toWireJob), nextPageToken };
    },

    watchFleet(request, context) {
      return watchFleet(feed, reader, clock, request.resumeToken, context.signal);
    },
  } satisfies Partial<ServiceImpl<typeof FleetService>>;
}

function jobUnknown(jobId: string): RefusedError {
  return new RefusedError("job_unknown", `There is no job ${jobId}.`, { job_id: jobId });
}

async function findHost(reader: HostReader, hostId: HostId): Promise<Host> {
  const [host] = await reader.findHosts([hostId]);
  if (host !== undefined) return host;
  throw new RefusedError("host_unknown", `There is no host ${hostId}, or it was removed.`, { host_id: hostId });
}
