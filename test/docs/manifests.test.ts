// deploy/istio. Goal: the standard's resource is there as the standard writes it, the recommended ones are the same guard, and
// each policy is one that the filter takes. Method: the files against the standard's text and against each other; Istio's
// own validation is in test/mesh.
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { Vm } from "../../src/host/index.ts";
import { projectPath } from "../../src/project.ts";
import { schemaComplaints } from "../config/schema.ts";

const MODULE = readFileSync(projectPath("build", "plugin.wasm"));

/** The WasmPlugin of the security standard, word for word. */
const STANDARD = `apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata:
  name: mcp-tool-guard
  namespace: ai-agents
spec:
  selector:
    matchLabels:
      app: github-mcp-server
  url: oci://internal-registry.io/mcp-guard-filter:v1
  pluginConfig:
    tool_allowlist:
    - search_code
    - get_pull_request
`;

interface Resource {
  kind: string;
  metadata: { name: string; namespace: string };
  spec: { wasm?: Record<string, unknown> } & Record<string, unknown>;
}

const text = (name: string): string => readFileSync(projectPath("deploy", "istio", name), "utf8");
const resource = (name: string): Resource => parse(text(name)) as Resource;
const withoutComments = (yaml: string): string => yaml.replaceAll(/^ *#.*\n|^\n/gm, "");

test("the standard's resource is there, and only comments came in addition", () => {
  expect(withoutComments(text("mcp-guard.yaml"))).toBe(STANDARD);
  expect(text("mcp-guard.yaml")).toMatch(/^ *#/m);
});

describe.each(readdirSync(projectPath("deploy", "istio")).filter((name) => name.endsWith(".yaml")))("%s", (name) => {
  const { metadata, spec } = resource(name);
  const plugin = spec.wasm ?? spec;

  test("has the standard's name and place", () => {
    const standard = parse(STANDARD) as Resource;
    expect(metadata).toEqual(standard.metadata);
    expect(spec.selector).toEqual(standard.spec.selector);
    expect(plugin.pluginConfig).toEqual(standard.spec.pluginConfig);
  });

  test("has a policy that the schema and the filter take", () => {
    expect(schemaComplaints(plugin.pluginConfig)).toEqual([]);
    const vm = Vm.load(MODULE);
    expect(vm.startPlugin(JSON.stringify(plugin.pluginConfig)).accepted).toBe(true);
  });

  test("never fails open", () => {
    expect(text(name)).not.toMatch(/^ *failStrategy: *"?FAIL_OPEN/m);
  });
});

test("the recommended resource leaves nothing open", () => {
  const { kind, spec } = resource("mcp-guard.recommended.yaml");
  expect(kind).toBe("WasmPlugin");
  expect(spec).toMatchObject({
    url: expect.stringMatching(/^oci:\/\/internal-registry\.io\/mcp-guard-filter@sha256:[0-9a-f]{64}$/),
    failStrategy: "FAIL_RELOAD",
    match: [{ mode: "SERVER" }],
    phase: "STATS",
    priority: 0,
    pluginName: "mcp-guard",
  });
});

test("the TrafficExtension is the recommended resource in its form", () => {
  const { kind, spec } = resource("mcp-guard.traffic-extension.yaml");
  expect(kind).toBe("TrafficExtension");
  const { wasm, ...around } = spec;
  expect({ ...around, ...wasm }).toEqual(resource("mcp-guard.recommended.yaml").spec);
});
