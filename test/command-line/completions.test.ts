import { execFile } from "node:child_process";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startControlPlane, type ControlPlane } from "../support/control-plane.ts";
import { repositoryRoot } from "../toolchain/repository-root.ts";
import { findMissingPackages } from "../toolchain/system-packages.ts";
import { Desk } from "./run-rollcall.ts";

const run = promisify(execFile);

let plane: ControlPlane;
let desk: Desk;
let folder: string;
let env: Record<string, string>;

beforeAll(async () => {
  plane = await startControlPlane();
  desk = await Desk.open();
  for (const name of ["web-1", "web-2", "db-1"]) await plane.enrollAgent(name);
  folder = await mkdtemp(join(tmpdir(), "rollcall-completions-"));
  const main = join(repositoryRoot, "server", "command-line", "main.ts");
  await writeFile(join(folder, "rollcall"), `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`);
  await chmod(join(folder, "rollcall"), 0o755);
  await mkdir(join(folder, "home"));
  env = {
    PATH: `${folder}:${process.env["PATH"] ?? ""}`,
    HOME: join(folder, "home"),
    ROLLCALL_SERVER: plane.web,
    ROLLCALL_TOKEN: plane.adminToken,
  };
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  await desk[Symbol.asyncDispose]();
  await plane[Symbol.asyncDispose]();
});

/** What a shell of this kind offers after these words. */
const SHELLS: Readonly<Record<string, (script: string, words: readonly string[]) => readonly string[]>> = {
  bash: (script, words) => [
    "-c",
    `${script}\nCOMP_WORDS=(rollcall "$@"); COMP_CWORD=$#; _rollcall; printf '%s\\n' "\${COMPREPLY[@]}"`,
    "bash",
    ...words,
  ],
  zsh: (script, words) => [
    "-fc",
    // Completion itself runs in the line editor alone; what it is given is told instead.
    `compdef() {}; _files() {}; _describe() { print -l -- "\${(@)\${(P)2}%%:*}" }\n${script}\nwords=(rollcall "$@"); CURRENT=$#words; _rollcall`,
    "zsh",
    ...words,
  ],
  fish: (script, words) => ["--no-config", "-c", `${script}\ncomplete -C 'rollcall ${words.join(" ")}'`],
};

const missing = findMissingPackages();

describe.each(Object.keys(SHELLS))("%s", (shell) => {
  test.skipIf(missing.includes(shell))(
    "completes commands, options, their values and hosts",
    { timeout: 90_000 },
    async () => {
      const { stdout: script } = await desk.run(["completions", shell]);
      const complete = async (...words: string[]): Promise<readonly string[]> => {
        const { stdout } = await run(shell, [...(SHELLS[shell]?.(script, words) ?? [])], { env, cwd: env["HOME"] });
        return stdout
          .split("\n")
          .map((line) => line.split("\t")[0] ?? "")
          .filter((line) => line !== "");
      };
      const [commands, values, hosts] = await Promise.all([
        complete("fl"),
        complete("fleet-update", "start", "--offline", "s"),
        complete("fleet-update", "start", "db-1", "we"),
      ]);
      expect(commands).toEqual(["fleet-update"]);
      expect(values).toEqual(["skip"]);
      expect(hosts).toEqual(["web-1", "web-2"]);
    },
  );
});

test.each([
  [["hosts", "list", "--off"], ["--offline"]],
  [["tokens", "enrolment", "r"], ["revoke"]],
  [
    ["users", "add", "bo", "--role", ""],
    ["viewer", "operator", "admin"],
  ],
  [["hosts", "show", "--json", "db"], ["db-1"]],
  [["releases", "remove", ""], ["2.0.0"]],
  [["hosts", "show", "db-1", ""], []],
] as const)("after %j come %j", async (words, wanted) => {
  const { stdout } = await desk.run(["complete", "--", ...words], { env });
  expect(stdout.split("\n").map((line) => line.split("\t")[0])).toEqual([...wanted, ""]);
});

test("whoever is not signed in gets no names, and no error", async () => {
  expect(await desk.run(["complete", "--", "hosts", "show", ""])).toEqual({ stdout: "", stderr: "", exitStatus: 0 });
  expect((await desk.run(["completions", "tcsh"])).exitStatus).toBe(2);
});
