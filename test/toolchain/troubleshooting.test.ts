import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { repositoryRoot } from "./repository-root.ts";
import { TROUBLESHOOTING_PATH, writeTroubleshooting } from "./troubleshooting.ts";

test("docs/troubleshooting.md says what the dashboard says: run npm run gen", async () => {
  expect(await readFile(join(repositoryRoot, TROUBLESHOOTING_PATH), "utf8")).toBe(writeTroubleshooting());
});
