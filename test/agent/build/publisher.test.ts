/** In whose name a build is made, and what a build refuses before it does any work. */
import { execFile } from "node:child_process";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  readDevelopmentPublisher,
  readPublisher,
  refuseForeignRoots,
  signManifest,
  writeRoots,
} from "../../../agent/build/publisher.ts";
import { chooseTargets } from "../../../agent/build/target.ts";
import { init } from "../../../agent/release/init.ts";
import { keygen } from "../../../agent/release/keygen.ts";
import { keys } from "../../../agent/release/keys.ts";
import { parseSignature } from "../../../gen/minisign.ts";
import { createTestBench } from "../../support/test-bench.ts";
import { TemporaryFolder } from "../temporary-folder.ts";

const ROOT = join(import.meta.dirname, "../../..");
const run = promisify(execFile);

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await TemporaryFolder.create();
});
afterAll(() => folder[Symbol.asyncDispose]());

async function makeKeys(name: string): Promise<string> {
  await init(["--dir", folder.join(name), "--unencrypted"], createTestBench([], name));
  return folder.join(name);
}

/** How `npm run build:agent` ends with these words. */
async function buildWith(words: readonly string[]): Promise<{ readonly code: number; readonly stderr: string }> {
  try {
    await run(process.execPath, ["agent/build/main.ts", "--out", folder.join("out"), ...words], { cwd: ROOT });
    return { code: 0, stderr: "" };
  } catch (error) {
    return error as { readonly code: number; readonly stderr: string };
  }
}

test("development keys are made once a checkout, by whoever comes first, and say what they are", async () => {
  await mkdir(folder.join("checkout"));
  const made = await Promise.all(
    ["one", "two"].map((seed) => readDevelopmentPublisher(folder.join("checkout"), createTestBench([], seed))),
  );
  const again = await readDevelopmentPublisher(folder.join("checkout"), createTestBench([], "three"));
  for (const { folder: keyFolder, signingKey } of [...made, again]) {
    expect(keyFolder.keySet.development).toBe(true);
    expect(signingKey?.publicKey.text).toBe(again.signingKey?.publicKey.text);
  }
});

test("a folder without the signing key still says whom a build trusts", async () => {
  const dir = await makeKeys("elsewhere");
  await rm(join(dir, "signing.key"));
  const publisher = await readPublisher(dir, undefined, createTestBench());
  expect([publisher.signingKey, publisher.folder.roots.length]).toEqual([undefined, 2]);
});

test("a manifest is signed with its own time, so that it can be signed again to the byte", async () => {
  const { folder: keyFolder, signingKey } = await readPublisher(await makeKeys("time"), undefined, createTestBench());
  if (signingKey === undefined) throw new Error("the key is there");
  const manifest = Buffer.from("a manifest");
  const createdAt = new Date("2026-01-01T00:00:00Z");
  const signature = signManifest(signingKey, keyFolder, manifest, createdAt);
  expect(signature.equals(signManifest(signingKey, keyFolder, manifest, createdAt))).toBe(true);
  expect(parseSignature(signature).trustedComment).toBe("timestamp:1767225600\tfile:manifest.json\thashed");
});

test("a key that hosts would refuse signs nothing", async () => {
  const dir = await makeKeys("revoked");
  await keygen([join(dir, "next"), "--unencrypted"], createTestBench());
  const change = ["--add", `${dir}/next.pub`, "--revoke", `${dir}/signing.pub`];
  await keys(["--dir", dir, "--root", `${dir}/root-1.key`, ...change], createTestBench());
  const { folder: keyFolder, signingKey } = await readPublisher(dir, undefined, createTestBench());
  if (signingKey === undefined) throw new Error("the key is there");
  expect(() => signManifest(signingKey, keyFolder, Buffer.from("x"), new Date(0))).toThrow(
    /hosts would refuse this release: .* was revoked/,
  );
});

test("a folder of releases stands for one publisher, whose roots may follow one another", async () => {
  const mine = (await readPublisher(await makeKeys("mine"), undefined, createTestBench())).folder;
  const theirs = (await readPublisher(await makeKeys("theirs"), undefined, createTestBench())).folder;
  const releases = folder.join("releases");
  await mkdir(join(releases, ".work"), { recursive: true });
  await refuseForeignRoots(releases, mine);
  await writeRoots(releases, mine, join(releases, ".work"));
  await refuseForeignRoots(releases, { ...mine, roots: [...mine.roots.slice(1), ...theirs.roots] });
  await expect(refuseForeignRoots(releases, theirs)).rejects.toThrow("another publisher's");
  const roots = await readFile(join(releases, "roots.pub"), "utf8");
  expect(mine.roots.map(({ text }) => roots.includes(text))).toEqual([true, true]);
});

test("a build refuses in words what it cannot do", async () => {
  const dir = await makeKeys("words");
  const ends = await Promise.all([
    buildWith(["--production", "--version", "1.0.0"]),
    buildWith(["--production", "--version", "1.0.0-3-gabc-dirty", "--keys", dir]),
    buildWith(["--keys", folder.join("nowhere"), "--version", "1.0.0"]),
    buildWith(["--platform", "linux-x64", "--platform", "plan9"]),
    buildWith(["--permit-floor", "0"]),
    buildWith(["--sequence", "9999999999999999"]),
    buildWith(["--version", "a..b"]),
  ]);
  expect(ends.map(({ code }) => code)).toEqual([1, 1, 1, 1, 1, 1, 1]);
  const [development, dirty, nowhere, platform, floor, sequence, version] = ends.map(({ stderr }) => stderr);
  expect(development).toContain("development keys sign no production build");
  expect(dirty).toContain("holds changes that are not committed");
  expect(nowhere).toContain("is no folder of keys");
  expect(platform).toContain("one of these cannot be built");
  expect(floor).toContain("--permit-floor");
  expect(sequence).toContain("no number above 0 that fits");
  expect(version).toContain("is no version");
  await expect(readFile(folder.join("out"))).rejects.toThrow("ENOENT");
});

test("--platform names one, several or all", async () => {
  const names = (words: readonly string[]) => chooseTargets(words)?.map(({ platform }) => platform);
  expect(names(["linux-arm64", "linux-x64"])).toEqual(["linux-x64", "linux-arm64"]);
  expect(names(["all"])).toEqual(["linux-x64", "linux-arm64", "windows-x64"]);
  for (const strange of ["constructor", ""])
    expect([names(["linux-x64", strange]), names(["all", strange])]).toEqual([undefined, undefined]);
});

test("a release that is not signed says which command signs it", async () => {
  const dir = await makeKeys("unsigned");
  await writeFile(folder.join("key"), await readFile(join(dir, "signing.key")));
  await rm(join(dir, "signing.key"));
  const words = ["--version", "1.0.0", "--keys", dir, "--out", folder.join("unsigned-out"), "--permit-floor", "9"];
  const { stdout } = await run(process.execPath, ["agent/build/main.ts", ...words, "--production"], { cwd: ROOT });
  const manifest = folder.join("unsigned-out/1.0.0/manifest.json");
  expect(stdout).toContain(`NOT signed, and no host takes it so. Where the signing key is: npm run release -- sign`);
  expect(stdout).toContain(manifest);
  await expect(readFile(`${manifest}.minisig`)).rejects.toThrow("ENOENT");
  expect(JSON.parse(await readFile(manifest, "utf8"))).toMatchObject({ sequence: "1", permittedFloor: "9" });
}, 60_000);
