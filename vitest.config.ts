import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // The reaper image of testcontainers comes from a container registry; the suites stop what they start instead.
    env: { TESTCONTAINERS_RYUK_DISABLED: "true" },
    testTimeout: 30_000,
    hookTimeout: 120_000,
    fileParallelism: false,
  },
});
