import { defineConfig } from "vitest/config";
import { LongestFirst } from "./test/toolchain/longest-first.ts";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // What faults do on booted hosts is a matter of many minutes: `npm run test:hosts -- --all`.
    // So are builds for other machines (`npm run test:arm64`, `npm run test:windows`) and of an image (`npm run test:container`).
    exclude: [
      ...(process.env["ROLLCALL_TEST_HOSTS"] === "all" ? [] : ["test/hosts/faults/**"]),
      ...(process.env["ROLLCALL_TEST_ARM64"] === "yes" ? [] : ["test/arm64/update.test.ts"]),
      ...(process.env["ROLLCALL_TEST_WINDOWS"] === "yes"
        ? []
        : ["test/windows/update.test.ts", "test/windows/install.test.ts"]),
      // A server that stands still keeps PostgreSQL from dropping any database, so nothing else may run beside it.
      ...(process.env["ROLLCALL_TEST_REPLICAS"] === "yes" ? [] : ["test/system/replica-loss.test.ts"]),
      ...(process.env["ROLLCALL_TEST_CONTAINER"] === "yes" ? [] : ["test/container/image.test.ts"]),
    ],
    globalSetup: ["test/support/global-database.ts"],
    pool: "forks",
    sequence: { sequencer: LongestFirst },
    // Many tests wait for real processes and deadlines rather than for a core.
    maxWorkers: 3,
    maxConcurrency: 20,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // A second, as it is by default, is short where many tests share two cores.
    expect: { poll: { timeout: 15_000 } },
    teardownTimeout: 30_000,
  },
});
