// Which workloads are MCP servers. Goal: every kind that makes pods is looked at, and each way to call itself an MCP server is known.
import { describe, expect, test } from "vitest";
import { examine } from "./examine.ts";

interface Template {
  metadata?: object;
  spec: object;
}

const PLAIN: Template = { metadata: { labels: { app: "x" } }, spec: { containers: [{ name: "a" }] } };

async function servers(...objects: readonly object[]): Promise<string[]> {
  const text = objects.map((object) => `${JSON.stringify(object)}\n`).join("---\n");
  return (await examine({ "a.yaml": text })).servers.map(({ name }) => name);
}

const deployment = (template: Template, metadata: object = { name: "x" }) => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata,
  spec: { template },
});

describe("a kind that makes pods", () => {
  test.each([
    ["Pod", PLAIN],
    ["Deployment", { spec: { template: PLAIN } }],
    ["StatefulSet", { spec: { template: PLAIN } }],
    ["DaemonSet", { spec: { template: PLAIN } }],
    ["ReplicaSet", { spec: { template: PLAIN } }],
    ["ReplicationController", { spec: { template: PLAIN } }],
    ["Job", { spec: { template: PLAIN } }],
    ["CronJob", { spec: { jobTemplate: { spec: { template: PLAIN } } } }],
    ["Rollout", { spec: { template: PLAIN } }],
  ])("is looked at: %s", async (kind, rest) => {
    const object = {
      apiVersion: "v1",
      ...rest,
      kind,
      metadata: { ...(rest as Template).metadata, name: "mcp", namespace: "n" },
    };
    expect(await servers(object)).toEqual([`${kind} n/mcp`]);
    const { findings } = await examine({ "a.yaml": JSON.stringify(object) });
    expect(findings.map(({ rule }) => rule.id)).toEqual(
      expect.arrayContaining(["guard-missing", "writable-root", "service-account-default"]),
    );
  });

  test("a Service, a Secret and a custom kind are none", async () => {
    await expect(
      servers(
        ...["Service", "Secret", "Widget"].map((kind) => ({
          apiVersion: "v1",
          kind,
          metadata: { name: "mcp" },
          spec: { template: PLAIN },
        })),
      ),
    ).resolves.toEqual([]);
  });
});

describe("an MCP server is known by", () => {
  const service = (port: object, selector: object) => ({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "s" },
    spec: { selector, ports: [port] },
  });

  test.each<[string, readonly object[], boolean]>([
    [
      "its component label",
      [deployment({ ...PLAIN, metadata: { labels: { "app.kubernetes.io/component": "mcp-server" } } })],
      true,
    ],
    [
      "the component label of the Deployment",
      [deployment(PLAIN, { name: "x", labels: { "app.kubernetes.io/component": "mcp-server" } })],
      true,
    ],
    [
      "a port of a container",
      [deployment({ ...PLAIN, spec: { containers: [{ name: "a", ports: [{ name: "http-mcp" }] }] } })],
      true,
    ],
    ["a port of its Service", [deployment(PLAIN), service({ name: "mcp" }, { app: "x" })], true],
    ["not by a port of another Service", [deployment(PLAIN), service({ name: "mcp" }, { app: "y" })], false],
    ["not by a Service without a selector", [deployment(PLAIN), service({ name: "mcp" }, {})], false],
    ["a word of its name", [deployment(PLAIN, { name: "github-MCP-server" })], true],
    ["a word of its app label", [deployment({ ...PLAIN, metadata: { labels: { app: "mcp" } } })], true],
    [
      "a word of its name label",
      [deployment({ ...PLAIN, metadata: { labels: { "app.kubernetes.io/name": "files.mcp" } } })],
      true,
    ],
    ["not by a part of a word", [deployment(PLAIN, { name: "rmcpd" })], false],
    ["nothing", [deployment(PLAIN)], false],
    [
      "a guard that selects it",
      [
        deployment(PLAIN),
        {
          apiVersion: "extensions.istio.io/v1alpha1",
          kind: "WasmPlugin",
          metadata: { name: "g" },
          spec: { selector: { matchLabels: { app: "x" } }, pluginConfig: { tool_allowlist: [] } },
        },
      ],
      true,
    ],
    [
      "not by another plugin that selects it",
      [
        deployment(PLAIN),
        {
          apiVersion: "extensions.istio.io/v1alpha1",
          kind: "WasmPlugin",
          metadata: { name: "g" },
          spec: { selector: { matchLabels: { app: "x" } }, pluginConfig: { other: [] } },
        },
      ],
      false,
    ],
  ])("%s", async (_, objects, expected) => {
    expect((await servers(...objects)).length).toBe(expected ? 1 : 0);
  });
});
