import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import {
  ReleaseSchema,
  type ImportReleaseRequest,
  type Release as WireRelease,
} from "../../gen/rollcall/v1/catalog_pb.js";
import type { FleetService } from "../../gen/rollcall/v1/fleet_pb.js";
import type { Release } from "../domain/release.ts";
import { callerKey } from "./caller.ts";

/** Where releases are changed. Each method *throws* RefusedError and changes nothing then. */
export interface ReleasePort {
  importRelease(messages: AsyncIterable<ImportReleaseRequest>, signal: AbortSignal, actor: string): Promise<Release>;
  removeRelease(version: string, actor: string): Promise<void>;
  setTargetVersion(version: string, actor: string): Promise<Release>;
  liftQuarantine(sha256: string, actor: string): Promise<void>;
}

/** What the handlers work with. */
export interface ReleaseParts {
  readonly releases: ReleasePort;
  readonly listReleases: () => Promise<readonly Release[]>;
}

/** Releases: import, list, target, quarantine, removal. */
export function createReleaseHandlers({ releases, listReleases }: ReleaseParts) {
  return {
    async importRelease(requests, context) {
      const actor = context.values.get(callerKey).name;
      return { release: toWireRelease(await releases.importRelease(requests, context.signal, actor)) };
    },

    async removeRelease(request, context) {
      await releases.removeRelease(request.version, context.values.get(callerKey).name);
      return {};
    },

    async liftQuarantine(request, context) {
      await releases.liftQuarantine(request.sha256, context.values.get(callerKey).name);
      return {};
    },

    async listReleases() {
      return { releases: (await listReleases()).map(toWireRelease) };
    },

    async setTargetVersion(request, context) {
      const actor = context.values.get(callerKey).name;
      return { release: toWireRelease(await releases.setTargetVersion(request.version, actor)) };
    },
  } satisfies Partial<ServiceImpl<typeof FleetService>>;
}

function toWireRelease(release: Release): WireRelease {
  return create(ReleaseSchema, {
    package: release.package,
    version: release.version,
    sequence: BigInt(release.sequence),
    importedAt: timestampFromDate(release.importedAt),
    artifacts: release.artifacts.map((artifact) => ({
      platform: artifact.platform,
      sizeBytes: BigInt(artifact.sizeBytes),
      sha256: artifact.sha256,
      quarantined: artifact.isQuarantined,
      rolledBackHosts: artifact.rolledBackHosts,
    })),
    target: release.isTarget,
    keyId: release.keyId,
    keyLabel: release.keyLabel,
    development: release.isDevelopment,
    permittedFloor: BigInt(release.permittedFloor),
    installRevision: release.installRevision,
  });
}
