import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { importRelease } from "../../../agent/release/import-release.ts";
import type { Workbench } from "../../../agent/release/workbench.ts";
import { findOpenSockets } from "../open-sockets.ts";
import { addApiToken } from "../../support/account-fixture.ts";
import { startControlPlane, type ControlPlane } from "../../support/control-plane.ts";
import { createTestKey } from "../../support/test-keys.ts";
import { TEST_PUBLISHER, writeTestRelease } from "../../support/test-release.ts";

afterAll(async () => expect(await findOpenSockets()).toEqual([]));

const ARTIFACT = Buffer.alloc(3_000_000, "a new agent ");

let folder: string;
let builtDir: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "rollcall-import-"));
  await writeTestRelease(folder, { version: "3.0.0", sequence: 3, artifact: ARTIFACT });
  builtDir = join(folder, "3.0.0");
});
afterAll(() => rm(folder, { recursive: true }));

/** Runs the verb and tells what it printed, and how it failed. */
async function run(words: readonly string[]) {
  const printed: string[] = [];
  const bench: Pick<Workbench, "print"> = { print: (line) => printed.push(line) };
  const error = await importRelease(words, bench as Workbench).then(
    () => undefined,
    (reason: unknown) => reason as Error & { readonly exitStatus?: number },
  );
  return { printed, sentence: error?.message, exitStatus: error?.exitStatus };
}

async function flagsFor(plane: ControlPlane, token = plane.adminToken): Promise<readonly string[]> {
  const path = join(folder, "token");
  await writeFile(path, `${token}\n`);
  return ["--server", plane.web, "--token-file", path];
}

describe("a release folder", () => {
  test("is brought to a server with its progress, again if need be", async () => {
    await using plane = await startControlPlane();
    const { printed, sentence } = await run([builtDir, ...(await flagsFor(plane))]);
    expect(sentence).toBeUndefined();
    expect(printed.at(-1)).toBe(
      `imported 3.0.0, sequence 3, signed by key ${TEST_PUBLISHER.signingKey.publicKey.keyId} (test signing key)`,
    );
    expect(printed.at(-2)).toBe("linux-x64/rollcall-agent: 100 % of 3000000 bytes sent");
    expect(printed).toHaveLength(11);
    expect((await plane.fleet.listReleases({})).releases.map(({ version }) => version)).toContain("3.0.0");
    expect((await run([builtDir, ...(await flagsFor(plane))])).sentence).toBeUndefined();
  });

  test("is brought to a server under TLS that is known by its own authority", async () => {
    await using plane = await startControlPlane({}, undefined, { ROLLCALL_WEB_LISTEN: "127.1:0" });
    const ca = join(folder, "ca.crt");
    await writeFile(ca, plane.caPem);
    const flags = await flagsFor(plane);
    expect((await run([builtDir, ...flags])).sentence).toContain("certificate");
    const { printed, sentence } = await run([builtDir, ...flags, "--ca-file", ca]);
    expect([sentence, printed.at(-1)?.slice(0, 14)]).toEqual([undefined, "imported 3.0.0"]);
  });
});

describe("the server's own sentence is told", () => {
  let plane: ControlPlane;
  beforeAll(async () => {
    plane = await startControlPlane();
  });
  afterAll(() => plane[Symbol.asyncDispose]());

  test("when it refuses a release", async () => {
    const signedBy = createTestKey("nobody");
    await writeTestRelease(folder, { version: "4.0.0", sequence: 4, artifact: ARTIFACT, signedBy });
    const { sentence, exitStatus } = await run([join(folder, "4.0.0"), ...(await flagsFor(plane))]);
    expect(sentence).toBe(
      `manifest.json.minisig: the manifest is signed by key ${signedBy.publicKey.keyId}, which the key set does not name. Nothing was changed.`,
    );
    expect(exitStatus).toBe(1);
  });

  test("when an artifact is not what its manifest says", async () => {
    const path = await writeTestRelease(folder, { version: "5.0.0", sequence: 5, artifact: ARTIFACT });
    await writeFile(path, "short");
    const { sentence } = await run([join(folder, "5.0.0"), ...(await flagsFor(plane))]);
    expect(sentence).toBe("linux-x64/rollcall-agent: its manifest says 3000000 bytes; it has 5. Nothing was changed.");
  });

  test("when the token is wrong, or its role too low", async () => {
    const wrong = await run([builtDir, ...(await flagsFor(plane, "rc_api_wrong"))]);
    expect(wrong.sentence).toBe("The token is not valid.");
    const { secret } = await addApiToken(plane.database, "operator");
    const low = await run([builtDir, ...(await flagsFor(plane, secret))]);
    expect(low.sentence).toBe("ImportRelease needs the role admin.");
  });
});

test("what cannot be read or reached is named", async () => {
  const token = join(folder, "token");
  await writeFile(token, "rc_api_x");
  const flags = ["--token-file", token];
  expect(await run([])).toMatchObject({ sentence: "import takes the folder of one release", exitStatus: 2 });
  expect((await run([folder, ...flags])).sentence).toContain(join(folder, "manifest.json"));
  expect((await run([builtDir, ...flags, "--server", "http://rollcall.example.org"])).sentence).toContain(
    "under TLS only",
  );
  expect((await run([builtDir, "--token-file", join(folder, "none")])).sentence).toContain(join(folder, "none"));
  const away = await run([builtDir, ...flags, "--server", "http://127.0.0.1:1"]);
  expect(away.sentence).toContain("http://127.0.0.1:1 cannot be reached");
});
