import { configDefaults, defineConfig } from "vitest/config";

/** What needs Go, takes long, or installs much: lanes of their own, which `make` names in TEST_LANE. */
const lanes = ["mesh", "second-opinion", "soak"].filter((lane) => lane !== process.env.TEST_LANE);

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: [...configDefaults.exclude, ...lanes.map((lane) => `test/${lane}/**`)],
    // The reaper image of testcontainers comes from a container registry; the suites stop what they start instead.
    env: { TESTCONTAINERS_RYUK_DISABLED: "true" },
    testTimeout: 30_000,
    hookTimeout: 120_000,
    fileParallelism: false,
  },
});
