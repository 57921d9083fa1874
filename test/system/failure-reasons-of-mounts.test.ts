/** Folders in which an update cannot succeed, with the built agent and a real server. */
import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { JobReason, JobState } from "../../gen/rollcall/v1/model_pb.js";
import { findLeaks } from "../agent/updater/leak-check.ts";
import type { ControlPlane } from "../support/control-plane.ts";
import { explainNoMounts, mountTmpfs, restrictFolder } from "../support/mounts.ts";
import { createFailureSite, failUpdate, type FailureSite } from "./failing-update.ts";

/** More than the new binary has, less than what the preflight asks for. */
const ROOM_BYTES = 1_000_000;
const reasonToSkip = await explainNoMounts();

describe.skipIf(reasonToSkip !== undefined)(
  `an update fails, and says why,${reasonToSkip === undefined ? "" : ` (skipped: ${reasonToSkip})`}`,
  () => {
    let site: FailureSite;
    let plane: ControlPlane;
    beforeAll(async () => {
      site = await createFailureSite();
      plane = await site.startPlane();
    }, 120_000);
    afterAll(async () => {
      await plane[Symbol.asyncDispose]();
      await site[Symbol.asyncDispose]();
      expect(await readFile("/proc/self/mountinfo", "utf8")).not.toContain(site.folder);
    });

    it("when the agent's folder is read-only", async () => {
      const { job, host, disturbances } = await failUpdate(site, plane, "read-only", {
        beforeUpdate: ({ paths }) => restrictFolder(paths.folder, "ro"),
      });
      expect(job).toMatchObject({ state: JobState.FAILED, reason: JobReason.PREFLIGHT_READ_ONLY });
      expect(job.details).toMatchObject({ path: host.paths.folder, errorCode: "EROFS" });
      expect(disturbances).toEqual([]);
    });

    it("when programs may not run from the agent's folder", async () => {
      const { job, host, disturbances } = await failUpdate(site, plane, "not-executable", {
        beforeUpdate: ({ paths }) => restrictFolder(paths.folder, "noexec"),
      });
      expect(job).toMatchObject({ state: JobState.FAILED, reason: JobReason.PREFLIGHT_NOT_EXECUTABLE });
      expect(job.details).toMatchObject({ path: host.paths.folder });
      expect(disturbances).toEqual([]);
    });

    it("when the new binary does not fit beside the old one", async () => {
      const { job, host, disturbances } = await failUpdate(site, plane, "too-small", {
        reserveBytes: 0,
        beforeBinary: ({ paths }) => mountTmpfs(paths.folder, `size=${site.sizeBytes + ROOM_BYTES},mode=0700`),
      });
      expect(job).toMatchObject({ state: JobState.FAILED, reason: JobReason.PREFLIGHT_NO_SPACE });
      expect(job.details).toMatchObject({ path: host.paths.folder, errorCode: "ENOSPC" });
      expect(job.details?.bytesNeeded).toBeGreaterThan(job.details?.bytesFree ?? 0n);
      expect(disturbances).toEqual([]);
    });
  },
);

afterAll(async () => expect(await findLeaks("rollcall-failures-")).toEqual([]));
