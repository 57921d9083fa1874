import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { readInstallRevision } from "../../../agent/build/install-revision.ts";
import { TemporaryFolder } from "../temporary-folder.ts";

const ROOT = dirname(dirname(dirname(import.meta.dirname)));

test("a release expects what the install script beside it leaves behind", async () => {
  const script = await readFile(join(ROOT, "agent", "install", "install.sh"), "utf8");
  expect(script).toContain(`INSTALL_REVISION=${await readInstallRevision(ROOT)}\n`);
});

test.each([
  ["no revision", "#!/bin/sh\nmain\n"],
  ["two revisions", "readonly INSTALL_REVISION=1\nreadonly INSTALL_REVISION=2\n"],
  ["no number", "readonly INSTALL_REVISION=one\n"],
  ["revision 0, which means none", "readonly INSTALL_REVISION=0\n"],
])("an install script with %s lets no release be built", async (_, script) => {
  await using folder = await TemporaryFolder.create();
  await mkdir(join(folder.path, "agent", "install"), { recursive: true });
  await writeFile(join(folder.path, "agent", "install", "install.sh"), script);
  await expect(readInstallRevision(folder.path)).rejects.toThrow(/install\.sh does not say its install revision once/);
});
