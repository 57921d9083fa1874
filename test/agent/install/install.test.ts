/**
 * What the install script refuses, in a real shell and against a real server. The
 * programs that tell of the machine are stood in for, so that it may be any; those that
 * would change it end the test.
 */
import { execFile } from "node:child_process";
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTestPublisher } from "../../support/test-keys.ts";
import { startControlPlane, type ControlPlane } from "../../support/control-plane.ts";
import { repositoryRoot } from "../../toolchain/repository-root.ts";

const run = promisify(execFile);
const SCRIPT = join(repositoryRoot, "agent", "install", "install.sh");
/** A machine that the agent runs on. */
const MACHINE: Readonly<Record<string, string>> = {
  id: 'if [ "$*" = -u ]; then echo 0; else exit 1; fi',
  uname: 'if [ "$1" = -s ]; then echo Linux; else echo x86_64; fi',
  getconf: "echo glibc 2.36",
  systemctl: "exit 0",
};
const CHANGING = ["useradd", "userdel", "chown", "chgrp", "cp", "mv", "setpriv", "journalctl", "restorecon"];

let folder: string;
let plane: ControlPlane;
let served: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "rollcall-install-test-"));
  plane = await startControlPlane();
  served = await (await fetch(`${plane.web}/install/install.sh`, { headers: { connection: "close" } })).text();
});
afterAll(async () => {
  await plane?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

interface Attempt {
  readonly machine?: Readonly<Record<string, string>>;
  readonly script?: string;
  readonly words?: readonly string[];
  readonly token?: string;
  readonly version?: string;
}

/** Runs the script on a machine, and tells what it said and what it left. */
async function attempt({ machine = {}, script = served, words = [], token, version }: Attempt) {
  const place = await mkdtemp(join(folder, "machine-"));
  const programs = await mkdtemp(join(folder, "programs-"));
  const bodies = {
    ...Object.fromEntries(CHANGING.map((name) => [name, `echo "$0 was called" >>${place}/called; exit 1`])),
    // Only into the script's own folder.
    mkdir: `case $* in ${place}/*) exec /bin/mkdir "$@" ;; *) echo "mkdir $*" >>${place}/called; exit 1 ;; esac`,
    ...MACHINE,
    ...machine,
  };
  for (const [name, body] of Object.entries(bodies)) {
    await writeFile(join(programs, name), `#!/bin/sh\n${body}\n`);
    await chmod(join(programs, name), 0o755);
  }
  const env = {
    PATH: `${programs}:/usr/bin:/bin`,
    TMPDIR: place,
    ...(token === undefined ? {} : { ROLLCALL_TOKEN: token }),
    ...(version === undefined ? {} : { ROLLCALL_VERSION: version }),
  };
  const running = run("dash", ["-s", ...words], { env });
  // A shell that has its answer may end before it took all of the script; what it says is looked at below.
  running.child.stdin?.on("error", () => undefined).end(script);
  const end = await running.then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: { code: number; stdout: string; stderr: string }) => error,
  );
  return { code: end.code, said: end.stdout + end.stderr, left: await readdir(place) };
}

async function makeToken(): Promise<string> {
  return (await plane.fleet.createEnrollmentToken({ label: "install" })).token;
}

describe("a machine that the agent does not run on is refused, untouched", () => {
  const machines: readonly (readonly [string, Readonly<Record<string, string>>, string])[] = [
    ["who is not root", { id: "echo 1000" }, "this has to run as root"],
    ["another system", { uname: "echo FreeBSD" }, "the agent runs on Linux, not on FreeBSD"],
    [
      "another processor",
      { uname: 'if [ "$1" = -s ]; then echo Linux; else echo riscv64; fi' },
      "there is an agent for x86_64 and aarch64, not for riscv64",
    ],
    ["musl", { getconf: "exit 1" }, "the agent needs glibc"],
    ["no systemd", { systemctl: "exit 1" }, "the agent needs systemd"],
    ["an OpenSSL that cannot verify", { openssl: "echo OpenSSL 1.1.1k" }, "OpenSSL 3 or newer is needed"],
  ];
  test.each(machines)("%s", async (_, machine, sentence) => {
    const { code, said, left } = await attempt({ machine, token: await makeToken() });
    expect([code, said, left]).toEqual([1, expect.stringContaining(`rollcall: ${sentence}`), []]);
  });
});

describe("a server that lets nobody install is told of, and nothing is left", () => {
  test("without a token, or with one that is none", async () => {
    expect(await attempt({})).toEqual({
      code: 1,
      said: "rollcall: there is no token: set ROLLCALL_TOKEN to one that the server made\n",
      left: [],
    });
    expect(await attempt({ token: "no token" })).toMatchObject({
      code: 1,
      said: "rollcall: ROLLCALL_TOKEN holds no enrolment token\n",
      left: [],
    });
  });

  test("with a token that the server does not take", async () => {
    const { token, tokenId } = await plane.fleet.createEnrollmentToken({});
    await plane.fleet.revokeEnrollmentToken({ tokenId });
    for (const refused of ["rc_enroll_unknown", token])
      expect(await attempt({ token: refused })).toEqual({
        code: 1,
        said: "rollcall: the token is unknown, used up or expired; make a new one\n",
        left: [],
      });
  });

  test("with a token on stdin", async () => {
    const path = join(folder, "install.sh");
    await writeFile(path, served);
    const end = await attempt({ script: `printf 'rc_enroll_unknown\\n' | sh ${path} --token-stdin` });
    expect(end).toMatchObject({ code: 1, said: expect.stringContaining("the token is unknown") as string });
  });

  test("when it cannot be reached", async () => {
    const script = served.replace(/^server_url='.*'$/m, "server_url='http://127.0.0.1:1'");
    const { code, said, left } = await attempt({ script, token: await makeToken() });
    expect([code, left]).toEqual([1, []]);
    expect(said).toMatch(/^rollcall: http:\/\/127\.0\.0\.1:1 could not be asked: curl: \(7\)/);
  });

  test("when it has no such release, or a version is none", async () => {
    const token = await makeToken();
    const unknown = await attempt({ token, version: "9.9.9" });
    expect([unknown.code, unknown.left]).toEqual([1, []]);
    expect(unknown.said).toContain("/releases/9.9.9/keys.json answers with status 404");
    expect((await attempt({ token, version: "../admin-token" })).said).toBe(
      "rollcall: ROLLCALL_VERSION holds no version\n",
    );
  });
});

describe("a release is put into place only once it was verified", () => {
  test("one of another publisher is refused", async () => {
    const stranger = createTestPublisher("somebody else").roots[0].publicKey.text;
    const script = served.replace(/^root_keys='.*'$/m, `root_keys='${stranger}'`);
    const { code, said, left } = await attempt({ script, token: await makeToken() });
    expect([code, left]).toEqual([1, []]);
    expect(said).toContain("verify-release: keys.json is not signed by a root key that you gave");
    expect(said).toContain("rollcall: the release that the server sent is not to be trusted");
  });

  test("one that is verified is the first thing that changes the machine", async () => {
    const { code, said, left } = await attempt({ token: await makeToken() });
    expect([code, left]).toEqual([1, ["called"]]);
    expect(said).toContain("verified rollcall-agent 2.0.0 for linux-x64");
    expect(said).toContain("rollcall: what was put here was taken away again");
  });
});

describe("the script itself", () => {
  test("gives the token to no program by its arguments or its environment", async () => {
    const seen = join(folder, "seen");
    const tell = (program: string): string => `{ echo "$0 $*"; env; } >>${seen}; exec ${program} "$@"`;
    const machine = { curl: tell("/usr/bin/curl"), sh: tell("/bin/sh"), openssl: tell("/usr/bin/openssl") };
    const token = await makeToken();
    const { said } = await attempt({ machine, token });
    expect(said).toContain("verified rollcall-agent");
    const text = await readFile(seen, "utf8");
    expect(text).toMatch(/\/curl .*\/releases\/target\/manifest\.json\n/);
    expect(text).not.toContain(token);
  });

  test("does nothing when its end was cut off", async () => {
    for (const length of [served.length - 10, Math.floor(served.length / 2)]) {
      const { said, left } = await attempt({ script: served.slice(0, length), token: await makeToken() });
      expect(said).not.toContain("rollcall:");
      expect(left).toEqual([]);
    }
  });

  test("that did not come from a server says so", async () => {
    const { stderr } = (await run("sh", [SCRIPT]).catch((error: unknown) => error)) as { stderr: string };
    expect(stderr).toBe("rollcall: fetch this script from the server that this machine is to be a host of\n");
  });

  test("tells a word that it does not know", async () => {
    expect(await attempt({ words: ["--token", "x"] })).toMatchObject({ code: 2, left: [] });
  });

  test("is POSIX shell that shellcheck has nothing against", async () => {
    expect(await run("shellcheck", ["-s", "sh", SCRIPT])).toMatchObject({ stdout: "" });
  });
});
