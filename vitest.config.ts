import { configDefaults, defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // What needs Go and builds for minutes is a lane of its own: make test-mesh sets this.
    exclude: process.env.MESH_LANE === "1" ? configDefaults.exclude : [...configDefaults.exclude, "test/mesh/**"],
    // The reaper image of testcontainers comes from a container registry; the suites stop what they start instead.
    env: { TESTCONTAINERS_RYUK_DISABLED: "true" },
    testTimeout: 30_000,
    hookTimeout: 120_000,
    fileParallelism: false,
  },
});
