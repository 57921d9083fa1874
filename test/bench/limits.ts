/**
 * What a fleet asks of servers and database at rest, on its return and in an update,
 * reckoned from what one host was measured to cost (limits-model.ts). Nothing is
 * measured here; ARCHITECTURE.md holds the table.
 */
import { FLEETS, limitsTable } from "./limits-model.ts";
import type { Suite } from "./suite.ts";

/** The model's table. */
export const limitsSuite: Suite = {
  name: "limits",
  run(print) {
    for (const line of limitsTable()) print(line);
    return Promise.resolve({ fleets: FLEETS });
  },
};
