import { expect, test } from "vitest";
import { findDispatchRefusal, type DispatchFacts } from "../../../server/domain/dispatch-check.ts";

const READY: DispatchFacts = {
  isArchived: false,
  isOffline: false,
  isIdentityDuplicated: false,
  agentVersion: "1.0",
  platform: "linux-x64",
  targetVersion: "2.0",
  openJobId: undefined,
  artifactSha256: "ab",
  isQuarantined: false,
  sequenceFloor: 5,
  greatestFloor: 5,
  installRevision: 2,
  expectedRevision: 2,
};

const refusalOf = (facts: Partial<DispatchFacts>, ignoreQuarantine = false) =>
  findDispatchRefusal({ ...READY, ...facts }, ignoreQuarantine);

test("a host that is online, behind and idle may be updated", () => {
  expect(refusalOf({})).toBeUndefined();
});

test("each thing that stands against an update is named with its facts", () => {
  expect(refusalOf({ openJobId: "j" })).toEqual({ reason: "update_running", jobId: "j" });
  expect(refusalOf({ isArchived: true, isIdentityDuplicated: true })).toEqual({ reason: "host_archived" });
  expect(refusalOf({ isIdentityDuplicated: true })).toEqual({ reason: "identity_duplicated" });
  expect(refusalOf({ targetVersion: undefined })).toEqual({ reason: "no_target" });
  expect(refusalOf({ agentVersion: "2.0" })).toEqual({ reason: "already_at_target", version: "2.0" });
  expect(refusalOf({ isOffline: true })).toEqual({ reason: "host_offline" });
  expect(refusalOf({ artifactSha256: undefined })).toEqual({
    reason: "no_artifact",
    version: "2.0",
    platform: "linux-x64",
  });
  expect(refusalOf({ sequenceFloor: 6 })).toEqual({ reason: "below_sequence_floor", version: "2.0", floor: "6" });
  expect(refusalOf({ installRevision: 1 })).toEqual({
    reason: "needs_reinstall",
    version: "2.0",
    installed: "1",
    expected: "2",
  });
  expect(refusalOf({ isQuarantined: true })).toEqual({ reason: "quarantined", sha256: "ab" });
});

test("a host that was installed by hand is not judged by its install revision", () => {
  expect(refusalOf({ installRevision: 0 })).toBeUndefined();
});

test("a release that expects no install revision, or an older one, goes to every host", () => {
  expect(refusalOf({ installRevision: 1, expectedRevision: 0 })).toBeUndefined();
  expect(refusalOf({ installRevision: 3 })).toBeUndefined();
});

test("a running update is named before anything else", () => {
  expect(refusalOf({ openJobId: "j", isOffline: true, agentVersion: "2.0" })?.reason).toBe("update_running");
});

test("quarantine can be ignored, nothing else can", () => {
  expect(refusalOf({ isQuarantined: true }, true)).toBeUndefined();
  expect(refusalOf({ isOffline: true }, true)).toEqual({ reason: "host_offline" });
  expect(refusalOf({ isQuarantined: true, installRevision: 1 }, true)?.reason).toBe("needs_reinstall");
});

test("versions are compared as exact strings", () => {
  expect(refusalOf({ agentVersion: "2.0-dirty" })).toBeUndefined();
  expect(refusalOf({ agentVersion: "2.00" })).toBeUndefined();
});
