// A second opinion about what is deployed. Goal: a checker that others wrote finds nothing wrong with the pods and roles of this project but what is
// decided otherwise here, with the reason. Method: checkov over the rendered manifests and the Terraform module; on the standard's own drafts it is
// seen to find faults. It knows Pod Security and IAM, and nothing of Istio: `mcp-guard check` is the reference for that.
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { projectPath } from "../../src/project.ts";
import { readManifests } from "../deploy/manifest-files.ts";
import { askCheckov, type Opinion, provideCheckov } from "./checkov.ts";

const MINUTES_MS = 60_000;
/** What is decided otherwise, by the check that complains. */
const DECIDED: Readonly<Record<string, string>> = {
  CKV_K8S_8:
    "a liveness probe: servers have no common path for one, and one by TCP would restart a server that is merely busy",
  CKV_K8S_11: "a CPU limit: throttling a server makes calls stall, and requests share the CPU fairly without one",
};

const checkov = provideCheckov();
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), "mcp-guard-opinion-"));
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** A rendered file without containers that injection completes: what they leave out is the mesh's to say, and no manifest has it. */
function withoutProxies(name: string): string {
  interface Pods {
    spec?: { template?: { spec?: { containers?: { name: string; image?: string }[] } } };
  }
  return readManifests(`deploy/istio/rendered/${name}`)
    .map((manifest) => {
      const pod = (manifest as Pods).spec?.template?.spec;
      if (pod?.containers !== undefined)
        pod.containers = pod.containers.filter(({ name, image }) => name !== "istio-proxy" || image !== "auto");
      return stringify(manifest);
    })
    .join("---\n");
}

const decided = ({ failures }: Opinion) => failures.filter(({ id }) => id in DECIDED);
const others = ({ failures }: Opinion) => failures.filter(({ id }) => !(id in DECIDED));

describe("the manifests", () => {
  // One overlay at a time: the same objects in several files would be taken for one. Of admission policies it knows nothing.
  const overlays = readdirSync(projectPath("deploy", "istio", "rendered")).filter((name) => name !== "admission.yaml");
  test.each(overlays)(
    "%s",
    async (name) => {
      const place = path.join(folder, name);
      mkdirSync(place);
      writeFileSync(path.join(place, name), withoutProxies(name));
      const opinion = await askCheckov(checkov, "kubernetes", place);
      expect(others(opinion)).toEqual([]);
      expect(opinion.unreadable).toEqual([]);
      expect(opinion.passed).toBeGreaterThan(0);
    },
    MINUTES_MS,
  );

  test(
    "the standard's drafts have faults that it finds",
    async () => {
      const opinion = await askCheckov(checkov, "kubernetes", projectPath("examples", "standard"));
      const found = others(opinion).map(({ id }) => id);
      // Seccomp, capabilities, the image's tag, the token of the service account.
      expect(found).toEqual(expect.arrayContaining(["CKV_K8S_31", "CKV_K8S_37", "CKV_K8S_14", "CKV_K8S_38"]));
    },
    MINUTES_MS,
  );

  test(
    "what is decided otherwise is still what it complains about",
    async () => {
      const opinion = await askCheckov(checkov, "kubernetes", projectPath("deploy", "istio", "base"));
      expect([...new Set(decided(opinion).map(({ id }) => id))].sort()).toEqual(Object.keys(DECIDED).sort());
    },
    MINUTES_MS,
  );
});

test(
  "the Terraform module",
  async () => {
    const opinion = await askCheckov(checkov, "terraform", projectPath("terraform"));
    expect(opinion.failures).toEqual([]);
    // Its reader of HCL is an old one; Terraform itself reads this file (test/terraform), in which no resource stands.
    expect(opinion.unreadable).toEqual(["variables.tf"]);
    expect(opinion.passed).toBeGreaterThan(0);
  },
  MINUTES_MS,
);
