import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect, test } from "vitest";
import { withMachineLock } from "./machine-lock.mjs";

const lockName = `rollcall-test-${process.pid}`;

test("two holders of one name never overlap, two of different names may", async () => {
  const events: string[] = [];
  const first = Promise.withResolvers<void>();
  const holding = withMachineLock(lockName, async () => {
    events.push("first in");
    await first.promise;
    events.push("first out");
  });
  const waiting = withMachineLock(lockName, async () => events.push("second in"));
  await withMachineLock(`${lockName}-other`, async () => events.push("other in"));
  first.resolve();
  await Promise.all([holding, waiting]);
  expect(events).toEqual(["first in", "other in", "first out", "second in"]);
});

test("a lock is free again when its work failed", async () => {
  await expect(withMachineLock(lockName, () => Promise.reject(new Error("broken")))).rejects.toThrow("broken");
  await expect(withMachineLock(lockName, async () => "next")).resolves.toBe("next");
});

test("the lock of a killed process is free at once", async () => {
  const holder = spawn(process.execPath, [
    "--input-type=module",
    "--eval",
    `const { withMachineLock } = await import(${JSON.stringify(join(import.meta.dirname, "machine-lock.mjs"))});
     await withMachineLock(${JSON.stringify(lockName)}, () => { console.log("held"); return new Promise(() => process.stdin.resume()); });`,
  ]);
  await once(holder.stdout, "data");
  const waiting = withMachineLock(lockName, async () => "mine");
  holder.kill("SIGKILL");
  await expect(waiting).resolves.toBe("mine");
  expect(holder.signalCode ?? (await once(holder, "exit"))[1]).toBe("SIGKILL");
});
