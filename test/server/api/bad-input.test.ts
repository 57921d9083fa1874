/**
 * Bad input to every RPC of FleetService and AccountService that takes any, in both
 * ways of writing it: refused by the name of the field, and no row of any table has
 * changed. What is bad comes from the descriptors.
 */
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { AccountService } from "../../../gen/rollcall/v1/account_pb.js";
import { FleetService } from "../../../gen/rollcall/v1/fleet_pb.js";
import { BAD_KINDS, type Codec } from "../../support/bad-requests.ts";
import { startQuietPlane } from "../../support/quiet-plane.ts";
import type { ControlPlane } from "../../support/control-plane.ts";
import { callRaw } from "../../support/raw-call.ts";
import { digestTables } from "../../support/table-digests.ts";
import { openResources } from "../stream/open-resources.ts";

const METHODS = [...FleetService.methods, ...AccountService.methods].filter(({ input }) => input.fields.length > 0);
const CODECS: readonly Codec[] = ["json", "proto"];

let plane: ControlPlane;
beforeAll(async () => {
  plane = await startQuietPlane();
});
afterAll(async () => {
  await plane[Symbol.asyncDispose]();
  await vi.waitFor(() => expect(openResources()).toEqual([]));
});

describe.each(CODECS)("a request in %s", (codec) => {
  const kinds = Object.entries(BAD_KINDS).map(([kind, make]) => {
    const asked = METHODS.map((method) => [method.name, method, make(method.input, codec)] as const);
    return [kind, asked.filter(([, , requests]) => requests.length > 0)] as const;
  });

  describe.each(kinds.filter(([, asked]) => asked.length > 0))(
    "that %s is refused and changes nothing:",
    (_kind, asked) => {
      test.for(asked)("%s", async ([, method, requests]) => {
        const before = await digestTables(plane.database);
        for (const { what, field, message } of requests) {
          const answer = await callRaw(plane, method, codec, message);
          expect({ what, ...answer }).toMatchObject({ what, code: "invalid_argument", field });
          expect(answer.message).toContain(field);
        }
        expect(await digestTables(plane.database)).toEqual(before);
      });
    },
  );
});
