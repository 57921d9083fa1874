import { defineConfig } from "vitest/config";
import { LongestFirst } from "./test/toolchain/longest-first.ts";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/global-database.ts"],
    pool: "forks",
    sequence: { sequencer: LongestFirst },
    // Many tests wait for real processes and deadlines rather than for a core.
    maxWorkers: 3,
    maxConcurrency: 20,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    teardownTimeout: 30_000,
  },
});
