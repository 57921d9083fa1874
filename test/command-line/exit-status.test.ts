import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { EXIT } from "../../server/command-line/exit-status.ts";
import { repositoryRoot } from "../toolchain/repository-root.ts";

test("the guide lists every exit status, and no other", async () => {
  const guide = await readFile(join(repositoryRoot, "docs", "command-line.md"), "utf8");
  const table = guide.slice(guide.indexOf("| exit status |"));
  const listed = [...table.matchAll(/^\| (\d+) \|/gm)].map(([, status]) => Number(status));
  expect(listed).toEqual(Object.values(EXIT));
});
