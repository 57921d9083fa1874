import { expect, test } from "vitest";
// @ts-expect-error -- plain JavaScript that runs before the packages are installed
import { findUnsupported as untyped } from "./supported-machine.mjs";

interface Machine {
  readonly platform: string;
  readonly arch: string;
  readonly glibcVersion?: string;
  readonly nodeVersion: string;
}
const findUnsupported = untyped as (machine?: Machine) => string | undefined;
const supported: Machine = { platform: "linux", arch: "x64", glibcVersion: "2.36", nodeVersion: "20.0.0" };

test("Linux x64 with glibc and Node 20 is supported", () => {
  expect(findUnsupported(supported)).toBeUndefined();
});

test.each([
  ["macOS", { ...supported, platform: "darwin", arch: "arm64" }, "this is darwin arm64."],
  ["Linux on arm64", { ...supported, arch: "arm64" }, "this is linux arm64."],
  [
    "Linux without glibc",
    { platform: "linux", arch: "x64", nodeVersion: "24.0.0" },
    "this is linux x64 without glibc.",
  ],
  ["an old Node", { ...supported, nodeVersion: "18.20.0" }, "this is Node 18.20.0."],
])("%s is refused in one sentence that names it", (_name, machine, words) => {
  const sentence = findUnsupported(machine);
  expect(sentence).toContain(words);
  expect(sentence).not.toContain("\n");
});

test("this machine is told as it is", () => {
  expect(findUnsupported()).toBeUndefined();
});
