import { pathToFileURL } from "node:url";
import { join } from "node:path";
import { build } from "esbuild";
import { expect, test } from "vitest";
import { defineFacts } from "../../agent/build/executable.ts";
import * as fromSources from "../../agent/own-trust.ts";
import { TEST_PUBLISHER } from "../support/test-release.ts";
import { TemporaryFolder } from "./temporary-folder.ts";

test("an agent that runs from its sources trusts nobody", () => {
  expect(fromSources).toMatchObject({ OWN_ROOTS: [], OWN_SEQUENCE: 0, OWN_KEYS_SEQUENCE: 0 });
});

test("a build trusts the roots and knows the sequences that it was made with", async () => {
  await using folder = await TemporaryFolder.create();
  const outfile = folder.join("own-trust.mjs");
  const facts = { version: "1.0.0", sequence: 7, roots: TEST_PUBLISHER.rootKeys, keysSequence: 3 };
  await build({
    entryPoints: [join(import.meta.dirname, "../../agent/own-trust.ts")],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    define: defineFacts(facts),
  });
  const built = (await import(pathToFileURL(outfile).href)) as typeof fromSources;
  expect(built).toMatchObject({ OWN_SEQUENCE: 7, OWN_KEYS_SEQUENCE: 3 });
  expect(built.OWN_ROOTS.map(({ text }) => text)).toEqual(TEST_PUBLISHER.rootKeys.map(({ text }) => text));
});
