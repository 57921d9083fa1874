import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import { EnrollmentTokenSchema, type EnrollmentToken as WireToken } from "../../gen/rollcall/v1/catalog_pb.js";
import type { FleetService } from "../../gen/rollcall/v1/fleet_pb.js";
import type { EnrollmentToken } from "../domain/enrollment-token.ts";
import type { HostId } from "../domain/ids.ts";
import type { Labels } from "../domain/labels.ts";
import { fromWireLabels, toWireLabels } from "../wire/wire-labels.ts";
import { callerKey } from "./caller.ts";
import { requestFactsKey } from "./request-facts.ts";

/** What the handlers read. */
export interface CatalogReader {
  listEnrollmentTokens(): Promise<readonly EnrollmentToken[]>;
  listAdoption(
    days: number,
  ): Promise<readonly { readonly day: string; readonly version: string; readonly hosts: number }[]>;
}

/** Where enrolment tokens are made and revoked. */
export interface TokenPort {
  createToken(request: {
    readonly label: string;
    readonly maxUses: number;
    readonly validForMs: number;
    readonly createdBy: string;
    readonly labels: Labels;
    readonly replacesHostId: HostId | null;
  }): Promise<{ readonly id: string; readonly token: string; readonly expiresAt: Date }>;
  /** *Throws* RefusedError (token_unknown). */
  revokeToken(id: string, actor: string): Promise<EnrollmentToken>;
}

/** What the handlers work with. */
export interface CatalogParts {
  readonly reader: CatalogReader;
  readonly tokens: TokenPort;
  /** The line that makes a machine a host. `origin` is where whoever asks reached this server. */
  readonly installCommand: (origin: string, token: string) => string;
  /** The same for Windows, which is experimental. */
  readonly windowsInstallCommand: (origin: string, token: string) => string;
}

const DEFAULT_TOKEN_LIFE_S = 3_600;
const DEFAULT_ADOPTION_DAYS = 30;

/** Enrolment tokens, and which versions hosts ran. */
export function createCatalogHandlers({ reader, tokens, installCommand, windowsInstallCommand }: CatalogParts) {
  return {
    async createEnrollmentToken(request, context) {
      const created = await tokens.createToken({
        label: request.label,
        maxUses: request.maxUses || 1,
        validForMs: (request.validForSeconds || DEFAULT_TOKEN_LIFE_S) * 1000,
        createdBy: context.values.get(callerKey).name,
        labels: fromWireLabels(request.labels, "labels"),
        replacesHostId: request.replacesHostId === "" ? null : (request.replacesHostId as HostId),
      });
      const { origin } = context.values.get(requestFactsKey);
      return {
        tokenId: created.id,
        token: created.token,
        expiresAt: timestampFromDate(created.expiresAt),
        installCommand: installCommand(origin, created.token),
        windowsInstallCommand: windowsInstallCommand(origin, created.token),
      };
    },

    async listEnrollmentTokens() {
      return { tokens: (await reader.listEnrollmentTokens()).map(toWireToken) };
    },

    async revokeEnrollmentToken(request, context) {
      return { token: toWireToken(await tokens.revokeToken(request.tokenId, context.values.get(callerKey).name)) };
    },

    async listVersionAdoption(request) {
      return { days: [...(await reader.listAdoption(request.days || DEFAULT_ADOPTION_DAYS))] };
    },
  } satisfies Partial<ServiceImpl<typeof FleetService>>;
}

function toWireToken(token: EnrollmentToken): WireToken {
  return create(EnrollmentTokenSchema, {
    id: token.id,
    label: token.label,
    maxUses: token.maxUses,
    uses: token.uses,
    createdBy: token.createdBy,
    createdAt: timestampFromDate(token.createdAt),
    expiresAt: timestampFromDate(token.expiresAt),
    labels: toWireLabels(token.labels),
    replacesHostId: token.replacesHostId ?? "",
    ...(token.revokedAt === null ? {} : { revokedAt: timestampFromDate(token.revokedAt) }),
  });
}
