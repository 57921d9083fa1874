import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { repositoryRoot } from "../toolchain/repository-root.ts";
import { fleetCosts, limitsTable, MEASURED } from "./limits-model.ts";

test("ARCHITECTURE.md holds the table that the model makes", async () => {
  const text = await readFile(join(repositoryRoot, "ARCHITECTURE.md"), "utf8");
  const [, table] = /<!-- limits:begin -->\n(.*?)\n<!-- limits:end -->/s.exec(text) ?? [];
  expect(table?.split("\n")).toEqual(limitsTable());
});

test("ten times the hosts cost ten times as much", () => {
  const [small, large] = [fleetCosts(100_000, MEASURED), fleetCosts(1_000_000, MEASURED)];
  for (const [name, cost] of Object.entries(small)) {
    expect(large[name as keyof typeof large] / cost).toBeCloseTo(10, 6);
  }
});
