import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Host } from "../../../gen/rollcall/v1/model_pb.js";
import { FleetRoster } from "../../../web/src/fleet/fleet-roster.ts";
import { HostRoster } from "../../../web/src/fleet/host-roster.ts";
import { host, idOf } from "./wire.ts";

const anyHost: fc.Arbitrary<Host> = fc
  .record({
    name: fc.constantFrom("a", "b", "c"),
    updateAvailable: fc.boolean(),
    isArchived: fc.boolean(),
  })
  .map(({ name, updateAvailable, isArchived }) =>
    host(name, { updateAvailable, ...(isArchived ? { archivedAt: timestampFromMs(1) } : {}) }),
  );

test("whatever is told of a host, it counts or is archived, and is found by its id either way", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(anyHost, fc.boolean()), { maxLength: 30 }), (steps) => {
      const roster = new FleetRoster();
      const known = new Map<string, Host>();
      for (const [one, isRemoved] of steps) {
        if (isRemoved) {
          roster.remove(one.id);
          known.delete(one.id);
        } else {
          roster.put(one);
          known.set(one.id, one);
        }
        roster.picture();
      }
      const counted = new HostRoster();
      for (const one of known.values()) if (one.archivedAt === undefined) counted.put(one);
      const picture = roster.picture();
      expect(picture.ordered).toEqual(counted.picture().ordered);
      expect(picture.tally).toEqual(counted.picture().tally);
      expect(new Set(picture.archived.map(({ id }) => id))).toEqual(
        new Set([...known.values()].filter((one) => one.archivedAt !== undefined).map(({ id }) => id)),
      );
      expect(new Set(picture.hosts.keys())).toEqual(new Set(known.keys()));
      for (const [id, one] of known) expect(picture.hosts.get(id)).toBe(one);
    }),
  );
});

test("a picture of nothing new is the same", () => {
  const roster = new FleetRoster();
  roster.put(host("a"));
  roster.put(host("b", { archivedAt: timestampFromMs(1) }));
  const before = roster.picture();
  expect(roster.picture()).toBe(before);
  roster.put(host("a", { archivedAt: timestampFromMs(2) }));
  expect(before.ordered.map(({ id }) => id)).toEqual([idOf("a")]);
  expect(roster.picture()).toMatchObject({ ordered: [], archived: [{ hostname: "a" }, { hostname: "b" }] });
});
