/** Ours against the stock tool, both ways: what one signs the other verifies, and either reads the other's keys. */
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { init } from "../../../agent/release/init.ts";
import { keygen } from "../../../agent/release/keygen.ts";
import { sign } from "../../../agent/release/sign-file.ts";
import { verify } from "../../../agent/release/verify-file.ts";
import { createTestBench } from "../../support/test-bench.ts";
import { explainMissingTools } from "../../faults/system-tools.ts";
import { runProgram } from "../run-program.ts";
import { TemporaryFolder } from "../temporary-folder.ts";

const missing = explainMissingTools("minisign");
if (missing !== undefined) console.warn(`skipped: ${missing}`);

const CONTENT = "whatever a publisher signs\n";
const PASSWORD = "pässword with spaces";

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await TemporaryFolder.create();
  await writeFile(folder.join("file"), CONTENT);
  await writeFile(folder.join("password"), `${PASSWORD}\n`);
});
afterAll(() => folder[Symbol.asyncDispose]());

/** Runs minisign in the test's folder; `typed` goes to its questions. */
function minisign(words: readonly string[], typed = ""): ReturnType<typeof runProgram> {
  return runProgram("/usr/bin/env", ["-C", folder.path, "minisign", ...words], { env: process.env, stdin: typed });
}

/** A copy of the file to be signed, so that tests do not share its signature. */
async function copyOfFile(name: string): Promise<string> {
  await mkdir(folder.join(name), { recursive: true });
  await copyFile(folder.join("file"), folder.join(name, "file"));
  return folder.join(name, "file");
}

describe.skipIf(missing !== undefined)(
  "minisign and ours",
  () => {
    test("it verifies our signature and reads our plain key", async () => {
      const bench = createTestBench();
      await keygen([folder.join("plain"), "--unencrypted"], bench);
      const path = await copyOfFile("ours");
      await sign(["--key", folder.join("plain.key"), path], bench);
      const verified = await minisign(["-V", "-p", "plain.pub", "-m", path]);
      expect(verified.status, verified.stderr).toBe(0);
      expect(verified.stdout).toContain("timestamp:1795521600\tfile:file\thashed");

      const signed = await minisign(["-S", "-s", "plain.key", "-m", path, "-t", "by the stock tool"]);
      expect(signed.status).toBe(0);
      await verify(["--key", folder.join("plain.pub"), path], bench);
      expect(bench.printed.at(-1)).toContain('trusted comment "by the stock tool"');
    });

    test("it reads our encrypted key, and refuses it with another password", async () => {
      await keygen([folder.join("sealed"), "--password-file", folder.join("password")], createTestBench());
      const path = await copyOfFile("sealed-file");
      const signing = (password: string) => minisign(["-S", "-s", "sealed.key", "-m", path], `${password}\n`);
      expect((await signing("wrong")).stderr).toContain("Wrong password");
      expect((await signing(PASSWORD)).status).toBe(0);
      await verify(["--key", folder.join("sealed.pub"), path], createTestBench());
    });

    test("we read its encrypted key and sign with it", async () => {
      const made = await minisign(["-G", "-p", "stock.pub", "-s", "stock.key"], `${PASSWORD}\n${PASSWORD}\n`);
      expect(made.status, made.stderr).toBe(0);
      const path = await copyOfFile("stock-file");
      await sign(["--key", folder.join("stock.key"), path], createTestBench([PASSWORD]));
      expect((await minisign(["-V", "-p", "stock.pub", "-m", path])).status).toBe(0);
    });

    test("we read its plain key and sign with it", async () => {
      expect((await minisign(["-G", "-W", "-p", "open.pub", "-s", "open.key"])).status).toBe(0);
      const path = await copyOfFile("open-file");
      await sign(["--key", folder.join("open.key"), path], createTestBench());
      expect((await minisign(["-V", "-p", "open.pub", "-m", path])).status).toBe(0);
    });

    test("we refuse its legacy signature by name", async () => {
      expect((await minisign(["-G", "-W", "-p", "old.pub", "-s", "old.key"])).status).toBe(0);
      const path = await copyOfFile("legacy");
      expect((await minisign(["-S", "-l", "-s", "old.key", "-m", path])).status).toBe(0);
      await expect(verify(["--key", folder.join("old.pub"), path], createTestBench())).rejects.toThrow(
        'only prehashed signatures are taken, not "Ed"',
      );
    });

    test("what one of them refuses the other does too", async () => {
      await init(["--dir", folder.join("keys"), "--unencrypted"], createTestBench([], "refusals"));
      const path = await copyOfFile("tampered");
      await sign(["--key", folder.join("keys", "signing.key"), path], createTestBench());
      const signature = await readFile(`${path}.minisig`, "utf8");
      const both = async (keyName: string): Promise<readonly [number | null, string | undefined]> => {
        const pub = folder.join("keys", keyName);
        const stock = await minisign(["-V", "-p", pub, "-m", path]);
        const ours = await verify(["--key", pub, path], createTestBench()).then(
          () => undefined,
          (error: unknown) => (error as Error).message,
        );
        return [stock.status, ours];
      };
      expect(await both("signing.pub")).toEqual([0, undefined]);
      expect(await both("root-1.pub")).toEqual([1, expect.stringContaining("is signed by key")]);
      await writeFile(`${path}.minisig`, signature.replace("hashed", "hushed"));
      expect(await both("signing.pub")).toEqual([1, expect.stringContaining("is not what key")]);
      await writeFile(`${path}.minisig`, signature);
      await writeFile(path, CONTENT.toUpperCase());
      expect(await both("signing.pub")).toEqual([1, expect.stringContaining("is not what key")]);
    });

    test("it verifies the key set that init signed", async () => {
      await init(["--dir", folder.join("publisher"), "--unencrypted"], createTestBench([], "publisher"));
      const verified = await minisign(["-V", "-p", "publisher/root-1.pub", "-m", "publisher/keys.json"]);
      expect(verified.status, verified.stderr).toBe(0);
      expect(verified.stdout).toContain("file:keys.json");
    });
  },
  60_000,
);
