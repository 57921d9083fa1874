import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { findForbiddenSkips, parseAllowedSkips, readAllowedSkips } from "./allowed-skips.ts";
import { repositoryRoot } from "./repository-root.ts";

test("comments and blank lines name no test", () => {
  expect(parseAllowedSkips("# why\n\ntest/a.test.ts > group # here\n  test/b.test.ts\n")).toEqual([
    "test/a.test.ts > group",
    "test/b.test.ts",
  ]);
});

test("an entry allows itself and what is inside of it, and nothing that only begins alike", () => {
  const allowed = ["test/a.test.ts > group"];
  const skipped = [
    "test/a.test.ts > group > one",
    "test/a.test.ts > group",
    "test/a.test.ts > groups > one",
    "test/a.test.ts",
  ];
  expect(findForbiddenSkips(skipped, allowed)).toEqual(["test/a.test.ts > groups > one", "test/a.test.ts"]);
});

test("every entry of the committed list names a file that exists", () => {
  const files = readAllowedSkips().map((entry) => entry.split(" > ")[0] ?? "");
  expect(files.filter((file) => !existsSync(join(repositoryRoot, file)))).toEqual([]);
});
