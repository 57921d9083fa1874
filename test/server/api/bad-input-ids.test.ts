import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { AccountService } from "../../../gen/rollcall/v1/account_pb.js";
import { FleetService } from "../../../gen/rollcall/v1/fleet_pb.js";
import { Text } from "../../../gen/rollcall/v1/options_pb.js";
import { callRaw } from "../../support/raw-call.ts";
import { startQuietPlane } from "../../support/quiet-plane.ts";
import { listFields, NOBODY, requestWith } from "../../support/request-fields.ts";
import { digestTables } from "../../support/table-digests.ts";
import { openResources } from "../stream/open-resources.ts";

const METHODS = [...FleetService.methods, ...AccountService.methods];
/** Every field of every request that holds an id, or several. */
const ID_FIELDS = METHODS.flatMap((method) =>
  listFields(method.input)
    .filter(({ rule }) => rule?.text === Text.ID)
    .map((target) => [`${method.name}.${target.path}`, method, target] as const),
);
/** Filters: of what nobody has there is nothing to list. */
const FILTERS = [
  "ListAlerts.hostId",
  "ListAuditEvents.hostId",
  "ListAuditEvents.jobId",
  "ListAuditEvents.fleetUpdateId",
];

let plane: Awaited<ReturnType<typeof startQuietPlane>>;
beforeAll(async () => {
  plane = await startQuietPlane();
});
afterAll(async () => {
  await plane[Symbol.asyncDispose]();
  await vi.waitFor(() => expect(openResources()).toEqual([]));
});

const encode = (value: unknown) => Buffer.from(JSON.stringify(value));

describe("an id that nothing has", () => {
  test.for(ID_FIELDS)("in %s is told of, and changes nothing", async ([name, method, target]) => {
    const before = await digestTables(plane.database);
    const value = target.field.fieldKind === "list" ? [NOBODY] : NOBODY;
    const answer = await callRaw(plane, method, "json", encode(requestWith(method.input, target.steps, value)));
    expect(answer.code).toBe(FILTERS.includes(name) ? "" : "not_found");
    expect(await digestTables(plane.database)).toEqual(before);
  });

  test("is looked for in every filter that this file names", () => {
    expect(ID_FIELDS.map(([name]) => name)).toEqual(expect.arrayContaining(FILTERS));
  });
});

describe("a fleet update's list of hosts", () => {
  const method = FleetService.method.startFleetUpdate;
  const idOf = (index: number) => `00000000-0000-4000-8000-${String(index).padStart(12, "0")}`;

  test.each([
    ["names a host twice", () => [plane.onlineHostId, plane.onlineHostId], "hostIds[1]"],
    [
      "names a host twice, far apart",
      () => [NOBODY, ...Array.from({ length: 9_998 }, (_, i) => idOf(i)), NOBODY],
      "hostIds[9999]",
    ],
    ["has 20,001 hosts", () => Array.from({ length: 20_001 }, (_, i) => idOf(i)), "hostIds"],
    ["has an empty id", () => [plane.onlineHostId, ""], "hostIds[1]"],
  ])("that %s is refused and changes nothing", async (_what, hostIds, field) => {
    const before = await digestTables(plane.database);
    const answer = await callRaw(plane, method, "json", encode({ hostIds: hostIds() }));
    expect(answer).toMatchObject({ code: "invalid_argument", field });
    expect(await digestTables(plane.database)).toEqual(before);
  });

  test("that has 20,000 unknown hosts names an unknown one and changes nothing", async () => {
    const before = await digestTables(plane.database);
    const hostIds = Array.from({ length: 20_000 }, (_, index) => idOf(index));
    const answer = await callRaw(plane, method, "json", encode({ hostIds }));
    expect(answer.code).toBe("not_found");
    expect(answer.message).toContain("00000000-0000-4000-8000-");
    expect(await digestTables(plane.database)).toEqual(before);
  });
});
