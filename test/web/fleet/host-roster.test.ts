import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { expect, test } from "vitest";
import { HostStatus, JobState, type Host } from "../../../gen/rollcall/v1/model_pb.js";
import { HostRoster } from "../../../web/src/fleet/host-roster.ts";
import { EVERY_HOST, selectHosts, type HostQuery } from "../../../web/src/fleet/host-query.ts";
import { host, idOf, job } from "./wire.ts";

/** One thing that happens to a fleet; few names and ids, so that they meet again. */
const anyHost: fc.Arbitrary<Host> = fc
  .record({
    id: fc.constantFrom("a", "b", "c", "d", "e", "f", "g", "h").map(idOf),
    hostname: fc.constantFrom("web-1", "web-2", "web-10", "db-1", "db-01"),
    platform: fc.constantFrom("linux-x64", "linux-arm64"),
    agentVersion: fc.constantFrom("", "1.9.0", "1.10.0", "2.0.0"),
    displayName: fc.constantFrom("", "Front door"),
    labels: fc.subarray([
      { key: "role", value: "web" },
      { key: "site", value: "lisbon" },
    ]),
    updateAvailable: fc.boolean(),
    status: fc.constantFrom(HostStatus.ONLINE, HostStatus.OFFLINE),
    jobState: fc.constantFrom(undefined, JobState.DOWNLOADING, JobState.FAILED, JobState.SUCCEEDED),
  })
  .map(({ hostname, jobState, ...changes }) =>
    host(hostname, { ...changes, ...(jobState === undefined ? {} : { latestJob: job({ state: jobState }) }) }),
  );
const anyStep = fc.oneof(
  { weight: 8, arbitrary: anyHost.map((put) => ({ kind: "put" as const, put })) },
  { weight: 2, arbitrary: anyHost.map(({ id }) => ({ kind: "remove" as const, id })) },
  { weight: 4, arbitrary: fc.constant({ kind: "draw" as const }) },
);

function rosterOf(hosts: Iterable<Host>): HostRoster {
  const roster = new HostRoster();
  for (const one of hosts) roster.put(one);
  return roster;
}

test("whatever happened to a fleet, its order, its counts and what is found by id are those of one that is told at once", () => {
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 60 }), (steps) => {
      const roster = new HostRoster();
      const known = new Map<string, Host>();
      for (const step of steps) {
        if (step.kind === "draw") roster.picture();
        else if (step.kind === "put") {
          roster.put(step.put);
          known.set(step.put.id, step.put);
        } else {
          roster.remove(step.id);
          known.delete(step.id);
        }
      }
      const [kept, fresh] = [roster.picture(), rosterOf(known.values()).picture()];
      expect(kept.ordered).toEqual(fresh.ordered);
      expect(kept.tally).toEqual(fresh.tally);
      expect(new Set(kept.hosts.keys())).toEqual(new Set(known.keys()));
      for (const [id, one] of known) expect(kept.hosts.get(id)).toBe(one);
    }),
  );
});

test("each count of a filter is the number of rows that it shows", () => {
  fc.assert(
    fc.property(fc.array(anyHost), (hosts) => {
      const { ordered, tally } = rosterOf(hosts).picture();
      const shown = (change: Partial<HostQuery>): number => selectHosts(ordered, { ...EVERY_HOST, ...change }).length;
      expect(tally).toMatchObject({
        behind: shown({ updates: ["behind"] }),
        offline: shown({ status: ["offline"] }),
        behindOffline: shown({ updates: ["behind"], status: ["offline"] }),
        failing: shown({ updates: ["failing"] }),
      });
      for (const [name, count] of tally.platforms) expect(count).toBe(shown({ platforms: [name] }));
      for (const [name, count] of tally.versions) expect(count).toBe(shown({ versions: [name] }));
      for (const [name, count] of tally.labels) expect(count).toBe(shown({ labels: [name] }));
    }),
  );
});

test("the most frequent version comes first, and of equally frequent ones the newest", () => {
  const { versions } = rosterOf([
    host("a", { agentVersion: "1.9.0" }),
    host("b", { agentVersion: "1.10.0" }),
    host("c", { agentVersion: "1.8.0" }),
    host("d", { agentVersion: "1.8.0" }),
  ]).picture().tally;
  expect(versions.map(([name]) => name)).toEqual(["1.8.0", "1.10.0", "1.9.0"]);
});

test("a picture that was taken never changes, and one of nothing new is the same", () => {
  const roster = rosterOf([host("a"), host("b")]);
  const before = roster.picture();
  expect(roster.picture()).toBe(before);
  roster.put(host("b", { agentVersion: "1.0.0" }));
  const after = roster.picture();
  expect(before.hosts.get(idOf("b"))?.agentVersion).toBe("2.0.0");
  expect(after.hosts.get(idOf("b"))?.agentVersion).toBe("1.0.0");
  expect(after.ordered[0]).toBe(before.ordered[0]);
  roster.remove(idOf("a"));
  expect(after.hosts.has(idOf("a"))).toBe(true);
  expect(roster.picture().hosts.has(idOf("a"))).toBe(false);
});

test("progress that changes no count leaves the counts the same object", () => {
  const roster = rosterOf([host("a", { latestJob: job({ state: JobState.DOWNLOADING, bytesDone: 1n }) })]);
  const { tally } = roster.picture();
  roster.put(
    host("a", { latestJob: job({ state: JobState.DOWNLOADING, bytesDone: 2n }), lastSeenAt: timestampFromMs(1) }),
  );
  expect(roster.picture().tally).toBe(tally);
});
