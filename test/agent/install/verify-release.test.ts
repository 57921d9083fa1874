/** The verifier in a real shell, on real files, with the machine's own openssl. */
import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { decodeManifest, encodeManifest } from "../../../gen/manifest.ts";
import {
  createTestKey,
  createTestPublisher,
  nameKey,
  signBytes,
  signKeySet,
  type SignedDocument,
} from "../../support/test-keys.ts";
import { TEST_PUBLISHER, writeTestRelease } from "../../support/test-release.ts";
import { repositoryRoot } from "../../toolchain/repository-root.ts";

const run = promisify(execFile);
const SCRIPT = join(repositoryRoot, "agent", "install", "verify-release.sh");
const { roots, signingKey } = TEST_PUBLISHER;
const ROOT = roots[0].publicKey.text;
const secondKey = createTestKey("second signing key");

let folder: string;
let good: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "rollcall-verify-"));
  await writeTestRelease(folder, { version: "2.0.0", sequence: 2, artifact: Buffer.alloc(200_000, "an agent ") });
  good = join(folder, "2.0.0");
});
afterAll(() => rm(folder, { recursive: true }));

/** Runs the verifier and tells what it said. */
async function verify(directory: string, more: readonly string[] = [], rootKeys: readonly string[] = [ROOT]) {
  const rootFlags = rootKeys.flatMap((key) => ["--root", key]);
  const flags = more.includes("--platform") ? more : ["--platform", "linux-x64", ...more];
  return run("dash", [SCRIPT, ...rootFlags, ...flags, directory], { env: { PATH: process.env["PATH"] } }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: { code: number; stdout: string; stderr: string }) => error,
  );
}

/** A copy of the good release in which something is put right or wrong. */
async function changed(name: string, change: (directory: string) => Promise<void>): Promise<string> {
  const directory = join(folder, name.replaceAll(" ", "-"));
  await cp(good, directory, { recursive: true });
  await change(directory);
  return directory;
}

const write = async (directory: string, file: string, { bytes, signature }: SignedDocument): Promise<void> => {
  await writeFile(join(directory, file), bytes);
  await writeFile(join(directory, `${file}.minisig`), signature);
};

async function edit(path: string, replace: (text: string) => string): Promise<void> {
  const text = await readFile(path, "utf8");
  const edited = replace(text);
  expect(edited).not.toBe(text);
  await writeFile(path, edited);
}

describe("a release that holds", () => {
  test("is verified, and what it is is told", async () => {
    expect(await verify(good, ["--version", "2.0.0"])).toMatchObject({
      code: 0,
      stdout: `verified rollcall-agent 2.0.0 for linux-x64, signed by ${signingKey.publicKey.text}\n`,
      stderr: "",
    });
  });

  test("is verified by any of several roots, given as text or as a file", async () => {
    const file = join(folder, "roots.pub");
    const other = createTestPublisher("somebody else").roots[0].publicKey.text;
    expect((await verify(good, [], [other, ROOT])).code).toBe(0);
    await writeFile(join(folder, "one.pub"), `untrusted comment: root\n${ROOT}\n`);
    expect((await verify(good, [], [join(folder, "one.pub")])).code).toBe(0);
    expect((await verify(good, [], [file])).code).toBe(0);
  });

  test("may have its program elsewhere, and several platforms", async () => {
    const elsewhere = join(folder, "elsewhere");
    await cp(join(good, "linux-x64", "rollcall-agent"), elsewhere);
    const directory = await changed("two platforms", async (path) => {
      const manifest = decodeManifest(await readFile(join(path, "manifest.json")));
      const [artifact] = manifest.artifacts;
      if (artifact === undefined) throw new Error("no artifact");
      const both = [{ ...artifact, platform: "linux-arm64", sha256: "ab".repeat(32) }, artifact];
      await write(
        path,
        "manifest.json",
        signBytes(signingKey, encodeManifest({ ...manifest, artifacts: both }), "two"),
      );
      await rm(join(path, "linux-x64"), { recursive: true });
    });
    expect((await verify(directory)).stderr).toContain("is missing");
    expect((await verify(directory, ["--artifact", elsewhere])).code).toBe(0);
    expect((await verify(directory, ["--platform", "linux-arm64", "--artifact", elsewhere])).stderr).toContain(
      "sha256",
    );
  });

  test("signed with development keys is verified with a warning", async () => {
    const directory = await changed("development", (path) =>
      write(path, "keys.json", signKeySet(roots[0], { development: true, signingKeys: [nameKey(signingKey)] })),
    );
    const { code, stderr } = await verify(directory);
    expect([code, stderr]).toEqual([0, "verify-release: signed with development keys, which anybody may have\n"]);
  });
});

describe("a release that does not hold is refused", () => {
  const refusals: readonly (readonly [string, (path: string) => Promise<void>, string])[] = [
    [
      "another byte in the program",
      (path) => edit(join(path, "linux-x64", "rollcall-agent"), (text) => text.replace("an agent", "an Agent")),
      "has the sha256",
    ],
    [
      "a program that is too long",
      async (path) => writeFile(join(path, "linux-x64", "rollcall-agent"), "x", { flag: "a" }),
      "has 200001 bytes; its manifest says 200000",
    ],
    [
      "a changed manifest",
      (path) => edit(join(path, "manifest.json"), (text) => text.replace('"2"', '"9"')),
      "manifest.json is not signed by a key",
    ],
    [
      "a changed trusted comment",
      (path) => edit(join(path, "manifest.json.minisig"), (text) => text.replace("file:", "File:")),
      "manifest.json is not signed by a key",
    ],
    [
      "a changed signature",
      (path) =>
        edit(join(path, "manifest.json.minisig"), (text) => {
          const lines = text.split("\n");
          const bytes = Buffer.from(lines[1] ?? "", "base64");
          bytes[40] = (bytes[40] ?? 0) ^ 1;
          return lines.with(1, bytes.toString("base64")).join("\n");
        }),
      "manifest.json is not signed by a key",
    ],
    [
      "a legacy signature",
      (path) =>
        edit(join(path, "manifest.json.minisig"), (text) => {
          const lines = text.split("\n");
          const bytes = Buffer.from(lines[1] ?? "", "base64");
          bytes[1] = "d".charCodeAt(0);
          return lines.with(1, bytes.toString("base64")).join("\n");
        }),
      "manifest.json is not signed by a key",
    ],
    [
      "a key set signed by a signing key",
      (path) => write(path, "keys.json", signKeySet(signingKey, { signingKeys: [nameKey(signingKey)] })),
      "keys.json is not signed by a root key",
    ],
    [
      "a changed key set",
      (path) => edit(join(path, "keys.json"), (text) => text.replace("test signing", "best signing")),
      "keys.json is not signed by a root key",
    ],
    [
      "a key that the key set does not name",
      (path) => write(path, "keys.json", signKeySet(roots[0], { signingKeys: [nameKey(secondKey)] })),
      "manifest.json is not signed by a key",
    ],
    [
      "a revoked key",
      (path) =>
        write(
          path,
          "keys.json",
          signKeySet(roots[0], {
            signingKeys: [nameKey(secondKey), nameKey(signingKey)],
            revokedKeys: [signingKey.publicKey.text],
          }),
        ),
      "manifest.json is not signed by a key",
    ],
    [
      "a revocation that is written in another form",
      async (path) => {
        const { bytes } = signKeySet(roots[0], {
          signingKeys: [nameKey(signingKey)],
          revokedKeys: [signingKey.publicKey.text],
        });
        const minified = Buffer.from(JSON.stringify(JSON.parse(bytes.toString())));
        await write(path, "keys.json", signBytes(roots[0], minified, "minified"));
      },
      "keys.json has a form that is not understood",
    ],
    [
      "two versions in one manifest",
      async (path) => {
        const text = await readFile(join(path, "manifest.json"), "utf8");
        const twice = text.replace('  "version": "2.0.0",\n', '  "version": "2.0.0",\n  "version": "3.0.0",\n');
        await write(path, "manifest.json", signBytes(signingKey, Buffer.from(twice), "twice"));
      },
      "manifest.json has a form that is not understood",
    ],
    [
      "another product",
      async (path) => {
        const manifest = decodeManifest(await readFile(join(path, "manifest.json")));
        const other = encodeManifest({ ...manifest, product: "other" });
        await write(path, "manifest.json", signBytes(signingKey, other, "other"));
      },
      "it is a release of other, not of rollcall-agent",
    ],
    [
      "a program outside of its folder",
      async (path) => {
        const text = await readFile(join(path, "manifest.json"), "utf8");
        const escaping = text.replace('"fileName": "rollcall-agent"', '"fileName": "../../secret"');
        await write(path, "manifest.json", signBytes(signingKey, Buffer.from(escaping), "escaping"));
      },
      "is no plain name",
    ],
    ["no signature", (path) => rm(join(path, "manifest.json.minisig")), "manifest.json.minisig is missing"],
    [
      "a manifest without end",
      (path) => writeFile(join(path, "manifest.json"), Buffer.alloc(300_000, " ")),
      "manifest.json has more than 262144 bytes",
    ],
  ];

  test.each(refusals)("%s", async (name, change, sentence) => {
    const { code, stdout, stderr } = await verify(await changed(name, change));
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toContain(sentence);
  });

  test("of another root, version or platform than was asked for", async () => {
    const other = createTestPublisher("somebody else").roots[0].publicKey.text;
    expect((await verify(good, [], [other])).stderr).toContain("not signed by a root key");
    expect((await verify(good, ["--version", "2.0.1"])).stderr).toContain("it is version 2.0.0, not 2.0.1");
    expect((await verify(good, ["--platform", "linux-arm64"])).stderr).toContain("has no program for linux-arm64");
  });
});

test("a call that lacks something says how it is used, and a cut-off script does nothing", async () => {
  expect((await verify(good, [], [])).stderr).toContain("Usage:");
  expect((await verify(good, [], ["no key"])).stderr).toContain("no key is no minisign public key");
  const script = await readFile(SCRIPT, "utf8");
  const cut = join(folder, "cut.sh");
  await writeFile(cut, script.slice(0, script.lastIndexOf('main "$@"')));
  const { stdout, stderr } = await run("dash", [cut, "--root", ROOT, good]);
  expect([stdout, stderr]).toEqual(["", ""]);
});
