import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { expect, test } from "vitest";
import { HostStatus, JobState } from "../../../gen/rollcall/v1/model_pb.js";
import {
  EVERY_HOST,
  isFailing,
  readHostQuery,
  selectHosts,
  SORT_KEYS,
  STATUS_FILTERS,
  UPDATE_FILTERS,
  writeHostQuery,
  type HostQuery,
} from "../../../web/src/fleet/host-query.ts";
import { host, job } from "./wire.ts";

const word = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9.+_-]{0,12}$/);
const anyQuery: fc.Arbitrary<HostQuery> = fc.record({
  search: fc.stringMatching(/^[A-Za-z0-9._-]{0,12}$/),
  updates: fc.subarray([...UPDATE_FILTERS]),
  status: fc.subarray([...STATUS_FILTERS]),
  platforms: fc.uniqueArray(word, { maxLength: 3 }),
  versions: fc.uniqueArray(word, { maxLength: 3 }),
  labels: fc.uniqueArray(
    fc.tuple(word, word).map(([key, value]) => `${key}=${value}`),
    { maxLength: 3 },
  ),
  isArchived: fc.boolean(),
  sort: fc.constantFrom(...SORT_KEYS),
  isDescending: fc.boolean(),
});

test("every view can be read back from its address", () => {
  fc.assert(
    fc.property(anyQuery, (query) => {
      expect(readHostQuery(new URLSearchParams(writeHostQuery(query)))).toEqual(query);
    }),
  );
});

test("the view of every host has no query, and what nobody knows is left out", () => {
  expect(writeHostQuery(EVERY_HOST)).toBe("");
  const read = readHostQuery(new URLSearchParams("updates=behind,sideways&status=asleep&sort=-colour&q=%20web%20"));
  expect(read).toEqual({ ...EVERY_HOST, updates: ["behind"], search: "web" });
  expect(writeHostQuery(read)).toBe("?updates=behind&q=web");
});

const hosts = [
  host("cache-01", { agentVersion: "2.0.0" }),
  host("db-02", {
    agentVersion: "1.9.0",
    updateAvailable: true,
    latestJob: job({ state: JobState.FAILED }),
    platform: "linux-arm64",
  }),
  host("db-03", {
    agentVersion: "1.10.0",
    updateAvailable: true,
    status: HostStatus.OFFLINE,
    lastSeenAt: timestampFromMs(5_000),
  }),
  host("web-01", { agentVersion: "1.9.0", updateAvailable: true, latestJob: job({ state: JobState.DOWNLOADING }) }),
];
const shown = (change: Partial<HostQuery>): string[] =>
  selectHosts(hosts, { ...EVERY_HOST, ...change }).map(({ hostname }) => hostname);

test("filters of one kind add up, those of different kinds narrow", () => {
  expect(shown({ updates: ["behind"] })).toEqual(["db-02", "db-03", "web-01"]);
  expect(shown({ updates: ["failing", "updating"] })).toEqual(["db-02", "web-01"]);
  expect(shown({ updates: ["behind"], status: ["offline"] })).toEqual(["db-03"]);
  expect(shown({ platforms: ["linux-arm64"], versions: ["1.9.0"] })).toEqual(["db-02"]);
});

test("a search takes words of the name in any order, and the beginning of an id", () => {
  expect(shown({ search: "02 DB" })).toEqual(["db-02"]);
  expect(shown({ search: hosts[3]?.id.slice(0, 12) ?? "" })).toEqual(["web-01"]);
});

test("labels stand in the address as they are written, and a host has all that are asked for", () => {
  const labelled = { ...EVERY_HOST, labels: ["site=lisbon", "role=web"] };
  expect(writeHostQuery(labelled)).toBe("?label=site=lisbon,role=web");
  expect(readHostQuery(new URLSearchParams("label=site=lisbon,nothing,role=web"))).toEqual(labelled);
  const some = [
    host("a", { labels: [{ key: "site", value: "lisbon" }] }),
    host("b", {
      labels: [
        { key: "role", value: "web" },
        { key: "site", value: "lisbon" },
      ],
    }),
    host("c", {
      labels: [
        { key: "role", value: "web" },
        { key: "site", value: "porto" },
      ],
    }),
  ];
  expect(selectHosts(some, labelled).map(({ hostname }) => hostname)).toEqual(["b"]);
});

test("a search finds a host by the name it was given, and still by its hostname", () => {
  const named = [host("ip-10-0-0-7", { displayName: "Front door" })];
  for (const search of ["front", "10-0"]) expect(selectHosts(named, { ...EVERY_HOST, search })).toEqual(named);
  expect(selectHosts(named, { ...EVERY_HOST, search: "back" })).toEqual([]);
});

test("versions are in the order of their numbers, and equal ones stay by name either way", () => {
  expect(shown({ sort: "version" })).toEqual(["db-02", "web-01", "db-03", "cache-01"]);
  expect(shown({ sort: "version", isDescending: true })).toEqual(["cache-01", "db-03", "db-02", "web-01"]);
});

test("a failure stays until the host runs what it was to run", () => {
  const failed = job({ state: JobState.ROLLED_BACK });
  expect(isFailing(host("a", { agentVersion: "1.0.0", latestJob: failed }))).toBe(true);
  expect(isFailing(host("a", { agentVersion: "2.0.0", latestJob: failed }))).toBe(false);
});
