// A label that is mistyped is the mistake that nothing else tells. Goal: whatever labels and selectors say, a server without a guard is found, and one
// with a guard is not taken for one without. Method: labels, selectors and namespaces by chance, and the rule of Kubernetes written out once more.
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { projectPath } from "../../src/project.ts";
import { examine } from "./examine.ts";

const SIDECAR = readFileSync(projectPath("test", "check", "good", "sidecar.yaml"), "utf8").split("---\n");
const labels = fc.dictionary(
  fc.constantFrom("app", "tier", "a/b", "__proto__", "constructor"),
  fc.constantFrom("x", "y", "X", "", "true", "1"),
  { maxKeys: 3, noNullPrototype: false },
);
const namespace = fc.constantFrom("desk", "office", "istio-system", "default");

/** Kubernetes' own rule: each pair that the selector names is among the labels. */
function isSubset(selector: object, of: object): boolean {
  const pairs = new Set(Object.entries(of).map((pair) => JSON.stringify(pair)));
  return Object.entries(selector).every((pair) => pairs.has(JSON.stringify(pair)));
}

/** The good set with one more server and one more guard. */
function objects(
  pod: { labels: object; namespace: string },
  guards: readonly { selector: object; namespace: string }[],
): string {
  const server = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "mcp", namespace: pod.namespace, labels: pod.labels },
    spec: { containers: [{ name: "a" }] },
  };
  const extra = guards.map(({ selector, namespace: place }, index) => ({
    apiVersion: "extensions.istio.io/v1alpha1",
    kind: index % 2 === 0 ? "WasmPlugin" : "TrafficExtension",
    metadata: { name: `guard-${index}`, namespace: place },
    spec: {
      selector: { matchLabels: selector },
      ...(index % 2 === 0
        ? { pluginConfig: { tool_allowlist: [] } }
        : { wasm: { pluginConfig: { tool_allowlist: [] } } }),
    },
  }));
  return [...SIDECAR, ...[server, ...extra].map((object) => `${JSON.stringify(object)}\n`)].join("---\n");
}

test("a server is guarded exactly when a guard's selector holds for its labels", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({ labels, namespace }),
      fc.array(fc.record({ selector: labels, namespace }), { maxLength: 3 }),
      async (pod, guards) => {
        const { findings } = await examine({ "a.yaml": objects(pod, guards) });
        const own = guards.filter(
          (guard) => [pod.namespace, "istio-system"].includes(guard.namespace) && isSubset(guard.selector, pod.labels),
        );
        const about = (id: string): number =>
          findings.filter(({ rule, servers }) => rule.id === id && servers.includes(`Pod ${pod.namespace}/mcp`)).length;
        expect(about("guard-missing")).toBe(own.length === 0 ? 1 : 0);
        expect(about("guard-twice")).toBe(Math.max(own.length - 1, 0));
      },
    ),
    { numRuns: 150 },
  );
});
