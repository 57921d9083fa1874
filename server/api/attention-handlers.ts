import type { ServiceImpl } from "@connectrpc/connect";
import type { FleetService } from "../../gen/rollcall/v1/fleet_pb.js";
import type { Alert, AlertKind } from "../domain/alert.ts";
import type { AuditEvent } from "../domain/audit-event.ts";
import type { FleetUpdateId, HostId, JobId } from "../domain/ids.ts";
import { fromWireAlertKind } from "../wire/alert-words.ts";
import { callerKey } from "./caller.ts";
import { cutPage, decodeInstantToken, decodePageToken, pageSize } from "./page-token.ts";
import { toWireAlert, toWireAuditEvent } from "./wire-attention.ts";

/** What the handlers read. */
export interface AttentionReader {
  listAlerts(query: {
    readonly openOnly: boolean;
    readonly kind?: AlertKind;
    readonly hostId?: HostId;
    readonly after?: { readonly raisedAt: Date; readonly id: string };
    readonly limit: number;
  }): Promise<readonly Alert[]>;
  listAuditEvents(query: {
    readonly hostId?: HostId;
    readonly jobId?: JobId;
    readonly fleetUpdateId?: FleetUpdateId;
    readonly actionPrefix: string;
    readonly actor: string;
    readonly beforeId?: bigint;
    readonly limit: number;
  }): Promise<readonly AuditEvent[]>;
}

/** What the handlers work with. */
export interface AttentionParts {
  readonly reader: AttentionReader;
  /** *Throws* RefusedError (alert_unknown). */
  readonly acknowledgeAlert: (id: string, actor: string) => Promise<Alert>;
}

/** Alerts and the audit log. */
export function createAttentionHandlers({ reader, acknowledgeAlert }: AttentionParts) {
  return {
    async listAlerts(request) {
      const limit = pageSize(request.pageSize);
      const token = decodeInstantToken(request.pageToken);
      const kind = fromWireAlertKind(request.kind);
      const alerts = await reader.listAlerts({
        openOnly: request.openOnly,
        ...(kind && { kind }),
        ...(request.hostId !== "" && { hostId: request.hostId as HostId }),
        ...(token && { after: { raisedAt: token.at, id: token.id } }),
        limit: limit + 1,
      });
      const { page, nextPageToken } = cutPage(alerts, limit, (last) => [last.raisedAt.toISOString(), last.id]);
      return { alerts: page.map(toWireAlert), nextPageToken };
    },

    async acknowledgeAlert(request, context) {
      return { alert: toWireAlert(await acknowledgeAlert(request.alertId, context.values.get(callerKey).name)) };
    },

    async listAuditEvents(request) {
      const limit = pageSize(request.pageSize);
      const isPosition = ([id]: unknown[]): boolean => typeof id === "string" && /^\d{1,18}$/.test(id);
      const token = decodePageToken<[string]>(request.pageToken, isPosition);
      const events = await reader.listAuditEvents({
        ...(request.hostId !== "" && { hostId: request.hostId as HostId }),
        ...(request.jobId !== "" && { jobId: request.jobId as JobId }),
        ...(request.fleetUpdateId !== "" && { fleetUpdateId: request.fleetUpdateId as FleetUpdateId }),
        actionPrefix: request.actionPrefix,
        actor: request.actor,
        ...(token && { beforeId: BigInt(token[0]) }),
        limit: limit + 1,
      });
      const { page, nextPageToken } = cutPage(events, limit, (last) => [String(last.id)]);
      return { events: page.map(toWireAuditEvent), nextPageToken };
    },
  } satisfies Partial<ServiceImpl<typeof FleetService>>;
}
