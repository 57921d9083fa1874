import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { HostStatus, JobReason, JobState } from "../../../gen/rollcall/v1/model_pb.js";
import {
  type FleetUpdateCountsSchema,
  FleetUpdateSchema,
  OfflinePolicy,
  type FleetUpdate,
} from "../../../gen/rollcall/v1/rollout_pb.js";
import { moveHost, planHosts, UNCHANGED } from "../../../web/src/pages/fleet-update/plan-order.ts";
import { CAREFUL, policySentence } from "../../../web/src/pages/fleet-update/policy.ts";
import { explainHalt } from "../../../gen/words/halt-words.ts";
import { heldWord } from "../../../gen/words/standing-words.ts";
import { host, idOf, job } from "../fleet/wire.ts";

const behind = (name: string, status = HostStatus.ONLINE) =>
  host(name, { agentVersion: "1.0.0", updateAvailable: true, status });

test("a plan takes the hosts that are behind and online, in the order they were put", () => {
  const hosts = [behind("a"), behind("b"), host("c"), behind("d", HostStatus.OFFLINE), behind("e")];
  const plan = planHosts(hosts, UNCHANGED);
  expect(plan.candidates.map(({ hostname }) => hostname)).toEqual(["a", "b", "e"]);
  expect(plan.offline.map(({ hostname }) => hostname)).toEqual(["d"]);
  const order = moveHost(plan.candidates, idOf("e"), -2);
  const changed = planHosts(hosts, { order, leftOut: new Set([idOf("a")]) });
  expect(changed.candidates.map(({ hostname }) => hostname)).toEqual(["e", "a", "b"]);
  expect(changed.chosen.map(({ hostname }) => hostname)).toEqual(["e", "b"]);
  expect(moveHost(plan.candidates, idOf("a"), -1)).toEqual(plan.candidates.map(({ id }) => id));
});

test("a plan leaves out, by name, what no update would be sent to", () => {
  const changes = { agentVersion: "1.0.0", updateAvailable: true };
  const hosts = [
    behind("a"),
    host("b", { ...changes, needsReinstall: true }),
    host("c", { ...changes, targetQuarantined: true }),
    host("d", { ...changes, identityDuplicated: true }),
    host("e", { ...changes, needsReinstall: true, status: HostStatus.OFFLINE }),
  ];
  const plan = planHosts(hosts, UNCHANGED);
  expect(plan.chosen.map(({ hostname }) => hostname)).toEqual(["a"]);
  expect(plan.held.map((one) => `${one.hostname}: ${heldWord(one)?.word}`)).toEqual([
    "b: Needs reinstall",
    "c: Target quarantined",
    "d: Identity used twice",
  ]);
  expect(plan.offline.map(({ hostname }) => hostname)).toEqual(["e"]);
});

test("a policy is told in one sentence", () => {
  expect(policySentence(CAREFUL)).toBe("One at a time. It halts at the first failure or offline host.");
  expect(policySentence({ maxInFlight: 5, maxFailures: 2, offline: OfflinePolicy.SKIP })).toBe(
    "5 at a time. It halts at more than 2 failures; a host that is offline is skipped.",
  );
});

/** A fleet update that halted for this reason. */
function halted(haltReason: string, counts: MessageInitShape<typeof FleetUpdateCountsSchema>): FleetUpdate {
  return create(FleetUpdateSchema, { toVersion: "2.0.0", haltReason, counts });
}

test("a halt tells what was not touched", () => {
  const failed = job({
    state: JobState.FAILED,
    reason: JobReason.PREFLIGHT_READ_ONLY,
    details: { path: "/opt/rollcall" },
  });
  expect(
    explainHalt(halted("preflight_read_only", { total: 9, succeeded: 5, failed: 1, pending: 3 }), "db-02", failed),
  ).toMatchObject({
    title: "Halted at db-02: program folder is read-only",
    short: "Program folder is read-only",
    happened: "The agent cannot write to /opt/rollcall on db-02.",
    untouched: "db-02 still runs 1.0.0; nothing on it was replaced. The 3 hosts after it were sent nothing.",
    toDo: "Make /opt/rollcall writable for the agent, then start again.",
  });
});

test("a halt at an offline host says how to go on", () => {
  const halt = explainHalt(halted("host_offline", { succeeded: 1, updating: 2 }), "db-02", undefined);
  expect(halt.untouched).toBe(
    "1 host runs 2.0.0. No host came after it. 2 hosts had been told to restart and are watched to their end.",
  );
  expect(halt.toDo).toBe("Bring db-02 online or start again without it.");
});
