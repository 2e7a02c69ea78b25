import { configDefaults, defineConfig } from "vitest/config";

/** What needs Go, takes long, or installs much: lanes of their own, which `make` names in TEST_LANE. */
const lanes = ["image", "mesh", "second-opinion", "soak"].filter((lane) => lane !== process.env.TEST_LANE);
const exclude = [...configDefaults.exclude, ...lanes.map((lane) => `test/${lane}/**`)];

/**
 * Folders whose tests start no Envoy, each with the files in it that measure time or race processes against each other. All but those files run
 * beside each other, and everything else one after the other, each with the machine to itself.
 */
const FOLDERS: Readonly<Record<string, readonly string[]>> = {
  approval: ["claim", "events", "filter-api"],
  audit: [],
  check: [],
  config: [],
  deploy: [],
  docs: [],
  host: ["response-time", "time"],
  lint: [],
  oci: ["challenge", "hostile"],
  "on-behalf": [],
  oracle: [],
  render: [],
  terraform: [],
  unit: ["approval", "hash", "sse"],
  vectors: [],
};
const LIGHT = Object.entries(FOLDERS).map(([folder, timed]) =>
  timed.length === 0 ? `test/${folder}/**/*.test.ts` : `test/${folder}/**/!(${timed.join("|")}).test.ts`,
);

export default defineConfig({
  test: {
    // The reaper image of testcontainers comes from a container registry; the suites stop what they start instead.
    env: { TESTCONTAINERS_RYUK_DISABLED: "true" },
    testTimeout: 30_000,
    hookTimeout: 120_000,
    projects: [
      {
        extends: true,
        test: {
          name: "light",
          include: LIGHT,
          exclude,
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: "alone",
          include: ["test/**/*.test.ts"],
          exclude: [...exclude, ...LIGHT],
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
