import { chmod, mkdir, realpath, rm, statfs, symlink, writeFile } from "node:fs/promises";
import { afterAll, describe, expect, it } from "vitest";
import { findMount } from "../../../agent/updater/mount-table.ts";
import { JobReason } from "../../../gen/rollcall/v1/model_pb.js";
import { findLeaks } from "./leak-check.ts";
import { createUpdateFixture, failureOf } from "./update-fixture.ts";

describe("preflight", () => {
  it("lets an update begin where nothing is in its way, and changes nothing", async () => {
    await using fixture = await createUpdateFixture();
    await fixture.platform().preflight(fixture.artifact, 0);
    await expect(realpath(fixture.paths.staged)).rejects.toThrow("ENOENT");
  });

  it("refuses an artifact for another platform", async () => {
    await using fixture = await createUpdateFixture();
    const failure = await failureOf(fixture.platform().preflight({ ...fixture.artifact, platform: "linux-arm64" }, 0));
    expect(failure).toMatchObject({
      reason: JobReason.PREFLIGHT_WRONG_PLATFORM,
      details: { platform: "linux-x64", artifactPlatform: "linux-arm64" },
    });
  });

  it("refuses a disk that cannot hold the artifact and the reserve, with both numbers", async () => {
    await using fixture = await createUpdateFixture();
    const { bavail, bsize } = await statfs(fixture.paths.folder, { bigint: true });
    const reserveBytes = Number(bavail * bsize);
    const failure = await failureOf(fixture.platform().preflight(fixture.artifact, reserveBytes));
    expect(failure).toMatchObject({
      reason: JobReason.PREFLIGHT_NO_SPACE,
      details: { path: fixture.paths.folder, errorCode: "ENOSPC" },
    });
    expect(failure.details.bytesNeeded).toBeGreaterThan(BigInt(reserveBytes) + 400_000n);
    expect(failure.details.bytesFree).toBeLessThan(failure.details.bytesNeeded ?? 0n);
  });

  it.each([0o777, 0o770, 0o1777])("refuses a folder of its own with mode %o", async (mode) => {
    await using fixture = await createUpdateFixture();
    await chmod(fixture.paths.folder, mode);
    const failure = await failureOf(fixture.platform().preflight(fixture.artifact, 0));
    expect(failure).toMatchObject({ reason: JobReason.SWAP_FAILED, details: { path: fixture.paths.folder } });
    expect(failure.details.detail).toContain("other users");
  });

  it("refuses a parent that others may rename names in, unless it is sticky", async () => {
    await using fixture = await createUpdateFixture();
    await chmod(fixture.root, 0o1777);
    await fixture.platform().preflight(fixture.artifact, 0);
    await chmod(fixture.root, 0o777);
    const failure = await failureOf(fixture.platform().preflight(fixture.artifact, 0));
    expect(failure).toMatchObject({ reason: JobReason.SWAP_FAILED, details: { path: fixture.root } });
  });

  it("refuses a binary that is a symbolic link", async () => {
    await using fixture = await createUpdateFixture();
    await writeFile(`${fixture.root}/real`, fixture.oldBytes);
    await rm(fixture.paths.binary);
    await symlink(`${fixture.root}/real`, fixture.paths.binary);
    const failure = await failureOf(fixture.platform().preflight(fixture.artifact, 0));
    expect(failure).toMatchObject({ reason: JobReason.SWAP_FAILED, details: { path: fixture.paths.binary } });
  });

  it("refuses when the state folder is missing", async () => {
    await using fixture = await createUpdateFixture();
    await rm(fixture.paths.stateDir, { recursive: true });
    const failure = await failureOf(fixture.platform().preflight(fixture.artifact, 0));
    expect(failure).toMatchObject({
      reason: JobReason.PREFLIGHT_READ_ONLY,
      details: { path: fixture.paths.stateDir, errorCode: "ENOENT" },
    });
    await mkdir(fixture.paths.stateDir);
    await fixture.platform().preflight(fixture.artifact, 0);
  });
});

describe("the mount table", () => {
  const table = [
    "21 1 254:0 / / rw,relatime - ext4 /dev/vda rw",
    "30 21 0:30 / /opt rw,noexec - tmpfs x rw",
    "31 30 0:31 / /opt/rollcall\\040agent rw shared:1 master:2 - tmpfs x rw",
    "32 21 0:32 / /srv rw,noexec - tmpfs x rw",
    "33 21 0:33 / /srv rw - tmpfs x rw",
    "",
  ].join("\n");

  it.each([
    ["/usr/bin", "/", false],
    ["/opt", "/opt", true],
    ["/opt/other", "/opt", true],
    ["/optional", "/", false],
    ["/opt/rollcall agent/bin", "/opt/rollcall agent", false],
    ["/srv/a", "/srv", false],
  ])("names the mount of %s", (path, mountPoint, isNoexec) => {
    const mount = findMount(table, path);
    expect(mount?.mountPoint).toBe(mountPoint);
    expect(mount?.options.has("noexec")).toBe(isNoexec);
  });

  it("knows of no mount in an empty table", () => expect(findMount("", "/opt")).toBeUndefined());
});

afterAll(async () => expect(await findLeaks("rollcall-updater-")).toEqual([]));
