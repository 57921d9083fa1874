import { watch } from "node:fs";
import { mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../agent/clock-system.ts";
import { supervise, type SuperviseOrder } from "./supervisor.ts";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "rollcall-supervisor-"));
});

afterEach(() => rm(folder, { recursive: true }));

async function writeProgram(name: string, body: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  return path;
}

function order(program: string): SuperviseOrder {
  return { program, programArguments: [], cwd: folder, env: {}, logPath: join(folder, "log"), restartDelayMs: 1 };
}

/** Resolves once the log satisfies `accept`. */
async function untilLog(accept: (text: string) => boolean): Promise<string> {
  const changes = watch(folder);
  try {
    for (;;) {
      const changed = new Promise((resolve) => changes.once("change", resolve));
      const text = await readFile(join(folder, "log"), "utf8").catch(() => "");
      if (accept(text)) return text;
      await changed;
    }
  } finally {
    changes.close();
  }
}

/** A process that ended but was not waited for yet does not count. */
async function isAlive(processId: number): Promise<boolean> {
  const status = await readFile(`/proc/${processId}/stat`, "utf8").catch(() => "");
  return status !== "" && !/\) [ZX] /.test(status);
}

function areAlive(processIds: readonly number[]): Promise<readonly boolean[]> {
  return Promise.all(processIds.map(isAlive));
}

test("a program that replaced itself comes back as its successor", async () => {
  const program = await writeProgram("program", "echo old; mv next program");
  await writeProgram("next", "echo new; exec sleep 60");
  await using supervised = supervise(order(program), systemClock);
  expect(await untilLog((text) => text.includes("new"))).toBe("old\nnew\n");
  expect(supervised.starts).toBe(2);
});

test("a program that can't be started is tried again", async () => {
  const program = await writeProgram("hidden", "echo there; exec sleep 60");
  await using supervised = supervise(order(join(folder, "program")), systemClock);
  await rename(program, join(folder, "program"));
  await untilLog((text) => text.includes("there"));
  expect(supervised.starts).toBeGreaterThan(0);
});

test("disposing ends the program and what it started, and starts nothing more", async () => {
  const program = await writeProgram("program", "sleep 60 & echo $$ $!; trap '' TERM; wait");
  const supervised = supervise(order(program), systemClock);
  const processIds = (await untilLog((text) => text.includes("\n"))).trim().split(" ").map(Number);
  expect(await areAlive(processIds)).toEqual([true, true]);
  await supervised[Symbol.asyncDispose]();
  // Nobody is told when a grandchild ends.
  await expect.poll(() => areAlive(processIds)).toEqual([false, false]);
  expect(supervised.starts).toBe(1);
});
