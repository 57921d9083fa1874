/** The verbs of `npm run release`, on real files. */
import { mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { afterAll, beforeEach, expect, test } from "vitest";
import { init } from "../../../agent/release/init.ts";
import { readKeyFolder } from "../../../agent/release/key-folder.ts";
import { keygen } from "../../../agent/release/keygen.ts";
import { keys } from "../../../agent/release/keys.ts";
import { readSecretKey } from "../../../agent/release/read-key.ts";
import { sign } from "../../../agent/release/sign-file.ts";
import { verify } from "../../../agent/release/verify-file.ts";
import { createTestBench } from "../../support/test-bench.ts";
import { runProgram } from "../run-program.ts";
import { TemporaryFolder } from "../temporary-folder.ts";

const folders: TemporaryFolder[] = [];
let folder: TemporaryFolder;
beforeEach(async () => {
  folder = await TemporaryFolder.create();
  folders.push(folder);
});
afterAll(async () => {
  for (const used of folders) await used[Symbol.asyncDispose]();
});

const FILES = ["keys.json", "keys.json.minisig"]
  .concat(["root-1.key", "root-1.pub", "root-2.key", "root-2.pub"])
  .concat(["signing.key", "signing.pub"]);

/** Keys without passwords in the folder `keys`. */
async function makeKeys(): Promise<string> {
  await init(["--dir", folder.join("keys"), "--unencrypted"], createTestBench([], folder.path));
  return folder.join("keys");
}

test("init makes two root keys, a signing key and a key set that a root signed", async () => {
  const bench = createTestBench();
  await init(["--dir", folder.join("keys"), "--label", "build machine", "--unencrypted"], bench);
  expect((await readdir(folder.join("keys"))).toSorted()).toEqual(FILES);
  const made = await readKeyFolder(folder.join("keys"));
  expect(new Set(made.roots.map(({ text }) => text)).size).toBe(2);
  expect(made.keySet).toMatchObject({ sequence: 1n, development: false, signingKeys: [{ label: "build machine" }] });
  const signing = await readSecretKey(folder.join("keys/signing.key"), undefined, bench);
  expect(made.keySet.signingKeys[0]?.publicKey).toBe(signing.publicKey.text);
  expect(bench.printed.join("\n")).toContain("No secret key is encrypted");
  const modes = await Promise.all(["root-1.key", "root-2.key", "signing.key"].map((name) => modeOf("keys", name)));
  expect(modes).toEqual([0o600, 0o600, 0o600]);
});

async function modeOf(...names: readonly string[]): Promise<number> {
  return (await stat(folder.join(...names))).mode & 0o777;
}

test("init encrypts each key with the password that is typed for it", async () => {
  const bench = createTestBench(["for roots", "for roots", "for signing", "for signing"]);
  await init(["--dir", folder.join("keys")], bench);
  expect(bench.asked).toHaveLength(4);
  for (const [name, password] of [
    ["root-1.key", "for roots"],
    ["root-2.key", "for roots"],
    ["signing.key", "for signing"],
  ] as const) {
    const path = folder.join("keys", name);
    expect((await readSecretKey(path, undefined, createTestBench([password]))).publicKey.keyId).toMatch(
      /^[0-9A-F]{16}$/,
    );
    await expect(readSecretKey(path, undefined, createTestBench(["other"]))).rejects.toThrow("the password is wrong");
  }
});

test("init writes nothing when the two passwords differ, or are empty", async () => {
  const fails = (typed: readonly string[]) => init(["--dir", folder.join("keys")], createTestBench(typed));
  await expect(fails(["one", "two"])).rejects.toThrow("the two passwords differ; nothing was written");
  await expect(fails([""])).rejects.toThrow("--unencrypted says so openly");
  expect(await readdir(folder.path)).toEqual([]);
});

test("init leaves a folder alone that holds something", async () => {
  await mkdir(folder.join("keys"));
  await writeFile(folder.join("keys/mine"), "mine");
  const bench = createTestBench();
  await expect(init(["--dir", folder.join("keys")], bench)).rejects.toThrow("holds something already");
  expect(bench.asked).toEqual([]);
  expect(await readdir(folder.path, { recursive: true })).toEqual(["keys", "keys/mine"]);
});

test("keygen never writes over a key", async () => {
  const bench = createTestBench();
  await keygen([folder.join("one"), "--unencrypted"], bench);
  const before = await readFile(folder.join("one.key"), "utf8");
  await expect(keygen([folder.join("one"), "--unencrypted"], bench)).rejects.toThrow("exists already");
  expect(await readFile(folder.join("one.key"), "utf8")).toBe(before);
  expect(bench.printed[0]).toContain("NOT encrypted");
});

test("keygen takes its password from a file", async () => {
  await writeFile(folder.join("password"), "from a file\n");
  await keygen([folder.join("one"), "--password-file", folder.join("password")], createTestBench());
  const key = await readSecretKey(folder.join("one.key"), folder.join("password"), createTestBench());
  expect(await readFile(folder.join("one.pub"), "utf8")).toContain(key.publicKey.text);
  await writeFile(folder.join("empty"), "\n");
  await expect(readSecretKey(folder.join("one.key"), folder.join("empty"), createTestBench())).rejects.toThrow(
    "is empty",
  );
});

test("a signature is made beside the file, in the place of an older one", async () => {
  const dir = await makeKeys();
  const path = folder.join("file");
  for (const content of ["first", "second"]) {
    await writeFile(path, content);
    const bench = createTestBench();
    await sign(["--key", `${dir}/signing.key`, "--comment", `says ${content}`, path], bench);
    await verify(["--key", `${dir}/signing.pub`, path], bench);
    expect(bench.printed.at(-1)).toContain(`trusted comment "says ${content}"`);
  }
  await expect(sign(["--key", `${dir}/signing.key`, path, folder.join("none")], createTestBench())).rejects.toThrow(
    "none cannot be read",
  );
});

test("a comment that would not stay in its line is refused", async () => {
  const dir = await makeKeys();
  await writeFile(folder.join("file"), "x");
  const words = ["--key", `${dir}/signing.key`, folder.join("file"), "--comment"];
  for (const comment of ["two\nlines", "x".repeat(1025)])
    await expect(sign([...words, comment], createTestBench())).rejects.toThrow("one line of at most 1024 characters");
  expect(await readdir(folder.path)).not.toContain("file.minisig");
});

test("verify takes any of the keys in a file, and says whose signature it is otherwise", async () => {
  const dir = await makeKeys();
  await writeFile(folder.join("roots.pub"), (await readRoots(dir)).join(""));
  const bench = createTestBench();
  await verify(["--key", folder.join("roots.pub"), `${dir}/keys.json`], bench);
  expect(bench.printed[0]).toContain('trusted comment "timestamp:1795521600\\tfile:keys.json\\thashed"');
  await expect(verify(["--key", `${dir}/signing.pub`, `${dir}/keys.json`], bench)).rejects.toThrow(
    /is signed by key [0-9A-F]{16}, not by [0-9A-F]{16}/,
  );
});

function readRoots(dir: string): Promise<readonly string[]> {
  return Promise.all(["root-1.pub", "root-2.pub"].map((name) => readFile(`${dir}/${name}`, "utf8")));
}

test("keys replaces a signing key by another, signed by either root", async () => {
  const dir = await makeKeys();
  await keygen([`${dir}/next`, "--unencrypted"], createTestBench());
  const bench = createTestBench();
  const change = ["--add", `${dir}/next.pub`, "--label", "the next", "--revoke", `${dir}/signing.pub`, "--floor", "7"];
  await keys(["--dir", dir, "--root", `${dir}/root-2.key`, ...change], bench);
  const { keySet } = await readKeyFolder(dir);
  expect(keySet).toMatchObject({ sequence: 2n, sequenceFloor: 7n, signingKeys: [{ label: "the next" }] });
  expect(keySet.revokedKeys).toHaveLength(1);
  expect(bench.printed.join("\n")).toMatch(/sequence 2\n {2}signs .* the next\n {2}revoked .*\n {2}floor {4}7/);
});

test("keys alone shows and changes nothing", async () => {
  const dir = await makeKeys();
  const before = await readFile(`${dir}/keys.json`);
  const bench = createTestBench();
  await keys(["--dir", dir], bench);
  expect(bench.printed[0]).toContain("sequence 1");
  expect((await readFile(`${dir}/keys.json`)).equals(before)).toBe(true);
});

test("a key set that is refused leaves the folder as it was", async () => {
  const dir = await makeKeys();
  await keygen([folder.join("stranger"), "--unencrypted"], createTestBench([], "stranger"));
  const before = await readFile(`${dir}/keys.json`);
  const add = ["--add", folder.join("stranger.pub")];
  const refused: readonly (readonly [readonly string[], string])[] = [
    [["--root", `${dir}/root-1.key`, "--revoke", `${dir}/signing.pub`], "no signing key would be left"],
    [["--root", folder.join("stranger.key"), ...add], "is none of the root keys"],
    [["--root", `${dir}/signing.key`, ...add], "is none of the root keys"],
    [["--root", `${dir}/root-1.pub`, ...add], "root-1.pub: it is no minisign secret key"],
    [["--root", `${dir}/root-1.key`, "--add", `${dir}/signing.key`], "signing.key: "],
    [["--root", `${dir}/root-1.key`, "--floor", "-1"], "--floor"],
    [["--root", `${dir}/root-1.key`, ...add, "--label", "a", "--label", "b"], "more --label than --add"],
    [add, "a change needs --root"],
  ];
  for (const [words, sentence] of refused)
    await expect(keys(["--dir", dir, ...words], createTestBench()), words.join(" ")).rejects.toThrow(sentence);
  expect((await readFile(`${dir}/keys.json`)).equals(before)).toBe(true);
  expect((await readdir(dir)).toSorted()).toEqual(FILES);
});

test.each([
  ["root-1.pub and root-2.pub", "it holds no root-*.pub"],
  ["keys.json", "ENOENT"],
  ["keys.json.minisig", "ENOENT"],
])("a folder of keys without %s is told from a good one", async (names, sentence) => {
  const dir = await makeKeys();
  for (const name of names.split(" and ")) await rm(`${dir}/${name}`);
  await expect(readKeyFolder(dir)).rejects.toThrow(sentence);
});

test("a key set that its signature does not fit is not taken", async () => {
  const dir = await makeKeys();
  const text = await readFile(`${dir}/keys.json`, "utf8");
  await writeFile(`${dir}/keys.json`, text.replace("signing key 1", "signing key 2"));
  await expect(readKeyFolder(dir)).rejects.toThrow("the key set is not signed by a root key");
});

test("the program ends with 2 for words that it does not know, and with 1 for what it cannot do", async () => {
  const program = (...words: readonly string[]) =>
    runProgram(process.execPath, ["agent/release/main.ts", ...words], { env: process.env });
  const ends = await Promise.all([
    program("nonsense"),
    program("sign", "--nonsense"),
    program("keygen"),
    program("keygen", folder.join("one")),
    program("help"),
  ]);
  expect(ends.map(({ status }) => status)).toEqual([2, 2, 2, 1, 0]);
  expect(ends[0]?.stderr).toContain("unknown verb nonsense");
  expect(ends[3]?.stderr).toContain("no terminal to type a password at; use --password-file FILE");
  expect(ends[4]?.stdout).toContain("Usage: release");
  expect(await readdir(folder.path)).toEqual([]);
});
