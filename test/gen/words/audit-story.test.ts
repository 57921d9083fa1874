import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { AuditEventSchema } from "../../../gen/rollcall/v1/attention_pb.js";
import { JOB_REASONS, ROLLBACK_REASONS } from "../../../server/domain/job-reason.ts";
import { auditFacts, auditSubject, auditWhy } from "../../../gen/words/audit-story.ts";

function event(details: Readonly<Record<string, unknown>>, changes: MessageInitShape<typeof AuditEventSchema> = {}) {
  return create(AuditEventSchema, { details: JSON.stringify(details), ...changes });
}

test.each([...JOB_REASONS, ...ROLLBACK_REASONS])("%s is told in the words of the other pages", (reason) => {
  const failed = event({ reason }, { action: "host.update_failed", cause: "the host reported it" });
  expect(auditWhy(failed)).toMatch(/^[A-Z][^_]+; the host reported it$/);
  const halted = event({ reason }, { action: "fleet.update_halted", cause: `halted at this host: ${reason}` });
  expect(auditWhy(halted)).toMatch(/^Halted at this host: [a-z0-9][^_]+$/);
  expect(auditFacts(failed)).toEqual([["reason", expect.not.stringContaining("_")]]);
});

test("what has no reason is told by its cause", () => {
  expect(auditWhy(event({}, { cause: "an enrolment token was used" }))).toBe("An enrolment token was used");
});

test.each([
  [{ from_version: "1.0.0", to_version: "2.0.0" }, "1.0.0 → 2.0.0", true],
  [{ to_version: "2.0.0", hosts: 9 }, "2.0.0", true],
  [{ package: "rollcall-agent", version: "2.0.0" }, "2.0.0", true],
  [{ username: "otto", role: "operator" }, "otto", false],
  [{ label: "ci-deploy", role: "viewer" }, "ci-deploy", false],
])("what it is about: %o", (details, text, isVersion) => {
  expect(auditSubject(event(details))).toEqual({ text, isVersion });
});

test("an entry that names nothing, or cannot be read, is about nothing", () => {
  expect(auditSubject(event({ address: "127.0.0.1" }))).toBeUndefined();
  for (const details of ["", "null", "3", "{torn"]) {
    expect(auditSubject(event({}, { details }))).toBeUndefined();
    expect(auditFacts(event({}, { details }))).toEqual([]);
  }
});

test("facts have names and units that people read", () => {
  const details = {
    from_version: "1.0.0",
    bytesFree: 61_000_000,
    lastState: "downloading",
    maximumAgeReached: true,
    max_uses: 3,
    retry_of: null,
    offline: "skip",
    signing_keys: [{ public_key: "RWQ", label: "release key" }],
  };
  expect(auditFacts(event(details))).toEqual([
    ["from", "1.0.0"],
    ["free", "61 MB"],
    ["got as far as", "downloading"],
    ["ran for 60 minutes", "yes"],
    ["max uses", "3"],
    ["a host that is offline", "is skipped"],
    ["signing keys", "release key"],
  ]);
});
