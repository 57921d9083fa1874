/** FleetService: what operators and other services ask of the server. */
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import type { FleetService } from "../../gen/rollcall/v1/fleet_pb.js";
import type { Clock } from "../domain/clock.ts";
import { RefusedError } from "../domain/errors.ts";
import type { Host } from "../domain/host.ts";
import { isId, type FleetUpdateId, type HostId, type JobId } from "../domain/ids.ts";
import type { Job } from "../domain/job.ts";
import { callerKey } from "./caller.ts";
import type { ChangeFeed, FleetReader } from "./change-feed.ts";
import { decodePageToken, encodePageToken } from "./page-token.ts";
import { watchFleet, type SnapshotReader } from "./watch-fleet.ts";
import { toWireCounts, toWireHost, toWireJob } from "./wire-fleet.ts";

/** What the handlers read. */
export interface ApiReader extends FleetReader, SnapshotReader {
  findJob(id: JobId): Promise<Job | undefined>;
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

/** Where enrolment tokens are made. */
export interface TokenPort {
  createToken(request: {
    readonly label: string;
    readonly maxUses: number;
    readonly validForMs: number;
    readonly createdBy: string;
  }): Promise<{ readonly id: string; readonly token: string; readonly expiresAt: Date }>;
}

/** What the service works with. */
export interface FleetServiceParts {
  readonly reader: ApiReader;
  readonly updates: UpdatePort;
  readonly tokens: TokenPort;
  readonly feed: ChangeFeed;
  readonly clock: Clock;
}

const DEFAULT_PAGE_SIZE = 100;
const DEFAULT_TOKEN_LIFE_S = 3_600;

/** Makes the handlers. Requests were checked against their rules and roles before they come here. */
export function createFleetService(parts: FleetServiceParts): ServiceImpl<typeof FleetService> {
  const { reader, updates, tokens, feed, clock } = parts;
  return {
    async listHosts(request) {
      const limit = request.pageSize || DEFAULT_PAGE_SIZE;
      const token = decodePageToken<[string, HostId]>(
        request.pageToken,
        ([, id]) => typeof id === "string" && isId(id),
      );
      const after = token && { hostname: token[0], id: token[1] };
      const hosts = await reader.listHosts({ ...(after === undefined ? {} : { after }), limit: limit + 1 });
      const page = hosts.slice(0, limit);
      const last = page.at(-1);
      return {
        hosts: page.map(toWireHost),
        nextPageToken: hosts.length > limit && last !== undefined ? encodePageToken([last.hostname, last.id]) : "",
        counts: toWireCounts(await reader.countHosts()),
      };
    },

    async getHost(request) {
      return { host: toWireHost(await findHost(reader, request.hostId as HostId)) };
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

    async cancelJob(request, context) {
      return { job: toWireJob(await updates.cancel(request.jobId, context.values.get(callerKey).name)) };
    },

    async getJob(request) {
      const job = await reader.findJob(request.jobId as JobId);
      if (job === undefined)
        throw new RefusedError("job_unknown", `There is no job ${request.jobId}.`, { job_id: request.jobId });
      return { job: toWireJob(job) };
    },

    async listJobs(request) {
      const limit = request.pageSize || DEFAULT_PAGE_SIZE;
      const token = decodePageToken<[string, JobId]>(request.pageToken, isJobPosition);
      const after = token && { createdAt: new Date(token[0]), id: token[1] };
      const hostId = request.hostId === "" ? undefined : (request.hostId as HostId);
      if (hostId !== undefined) await findHost(reader, hostId);
      const jobs = await reader.listJobs({
        ...(hostId === undefined ? {} : { hostId }),
        ...(after === undefined ? {} : { after }),
        limit: limit + 1,
      });
      const page = jobs.slice(0, limit);
      const last = page.at(-1);
      return {
        jobs: page.map(toWireJob),
        nextPageToken:
          jobs.length > limit && last !== undefined ? encodePageToken([last.createdAt.toISOString(), last.id]) : "",
      };
    },

    watchFleet(request, context) {
      return watchFleet(feed, reader, clock, request.resumeToken, context.signal);
    },

    async createEnrollmentToken(request, context) {
      const created = await tokens.createToken({
        label: request.label,
        maxUses: request.maxUses || 1,
        validForMs: (request.validForSeconds || DEFAULT_TOKEN_LIFE_S) * 1000,
        createdBy: context.values.get(callerKey).name,
      });
      return { tokenId: created.id, token: created.token, expiresAt: timestampFromDate(created.expiresAt) };
    },
  };
}

async function findHost(reader: ApiReader, hostId: HostId): Promise<Host> {
  const [host] = await reader.findHosts([hostId]);
  if (host !== undefined) return host;
  throw new RefusedError("host_unknown", `There is no host ${hostId}, or it was removed.`, { host_id: hostId });
}

function isJobPosition([createdAt, id]: unknown[]): boolean {
  return typeof createdAt === "string" && !Number.isNaN(Date.parse(createdAt)) && typeof id === "string" && isId(id);
}
