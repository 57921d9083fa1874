import { describe } from "vitest";
import { formatInstallLine } from "../../toolchain/system-packages.ts";
import { findChromium } from "./chromium.ts";

const skipped =
  findChromium() === undefined ? ` (skipped: chromium missing; run: ${formatInstallLine(["chromium"])})` : "";

/** Tests that need a browser: skipped, with the line that installs it, on a machine that has none. */
export function inChromium(name: string, tests: () => void): void {
  describe.skipIf(skipped !== "")(`${name}${skipped}`, () => {
    tests();
  });
}
