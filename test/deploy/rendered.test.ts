// deploy/istio/rendered against kustomize. Goal: the plain manifests are what kustomize builds, and a value reaches every place that says it. Method: each
// folder is built and compared object by object; an overlay whose values are all others is built, and nothing of the reference is left in it.
// UPDATE_RENDERED=1 writes the plain manifests.
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { projectPath } from "../../src/project.ts";
import { findKustomize } from "./kustomize.ts";
import { type Manifest, manifestFiles, manifestsOf, readManifests } from "./manifest-files.ts";
import { manifestComplaints } from "./schemas.ts";

const ISTIO = projectPath("deploy", "istio");
const OVERLAYS = readdirSync(path.join(ISTIO, "overlays")).map((name) => [name, path.join("overlays", name)] as const);
/** What is rendered: name of the file, and the folder that it comes from. */
const SOURCES = [
  ...OVERLAYS,
  ...(["base", "admission", "approval-service", "gateway", "gateway-on-behalf-of"] as const).map(
    (name) => [name, name] as const,
  ),
].sort();

test("there is a plain manifest for each overlay, the base, the gateways, the approval service and the admission policies", () => {
  const names = manifestFiles("deploy", "istio", "rendered")
    .map((file) => path.basename(file, ".yaml"))
    .sort();
  expect(names).toEqual(SOURCES.map(([name]) => name));
});

const build = await findKustomize("deploy/istio/rendered against kustomize, and the components with other values");

if (build !== undefined) {
  test.each(SOURCES)("%s is what kustomize builds", async (name, folder) => {
    const built = await build(path.join(ISTIO, folder));
    if (process.env.UPDATE_RENDERED === "1") {
      const note = `# Built by kustomize from deploy/istio/${folder}, which has the comments. Change that, and then: make manifests\n`;
      writeFileSync(path.join(ISTIO, "rendered", `${name}.yaml`), note + built);
    }
    expect(readManifests(`deploy/istio/rendered/${name}.yaml`)).toEqual(manifestsOf(built));
  });

  test("the reference's values are those that the base has anyway", async () => {
    const base = manifestsOf(await build(path.join(ISTIO, "base")));
    const sidecar = manifestsOf(await build(path.join(ISTIO, "overlays", "sidecar")));
    expect(sidecar.filter(({ metadata }) => metadata.name !== "mcp-registry")).toEqual(base);
  });

  describe("with other values", () => {
    /** Each differs from the reference's, and words that YAML takes for something else are among them. */
    const VALUES = {
      namespace: "others",
      server: "true",
      serviceAccount: "null",
      serverImage: `other.example/server@sha256:${"1".repeat(64)}`,
      port: "9001",
      path: "/other",
      gatewayPrincipal: "td.example/ns/edge/sa/agents",
      guardUrl: `oci://other.example/guard@sha256:${"2".repeat(64)}`,
      approvalHost: "clerks/clerk.clerks.svc.cluster.local",
      approvalPort: "8543",
      approvalApp: "clerk",
      registryCidr: "10.9.0.1/32",
      registryPort: "5009",
      roleArn: "arn:aws:iam::999999999999:role/other",
      stsHost: "sts.us-east-1.amazonaws.com",
      stsCidr: "10.9.0.2/32",
      collectorHost: "telemetry/collector.telemetry.svc.cluster.local",
      collectorPort: "4399",
      collectorApp: "collector",
      ssePath: "/other-stream",
      messagePath: "/other-messages",
      tokenHost: "tokens.other.example",
      tokenCidr: "10.9.0.3/32",
      tokenIssuer: "https://people.other.example/realm",
      tokenKeys: "https://keys.other.example/jwks",
      tokenAudience: "other-gateway",
      tokenSecret: "other-token-client",
    };
    /** What stays of the reference: fixed by the base, not by values. */
    const STAYS =
      /api\.github\.com|kubernetes\.io|istio-system|approve\.example|"approval(-guard)?":|"(\/sse|approval-guard|default-deny|mcp-[a-z-]+)"/g;
    let folder: string;

    beforeAll(() => {
      mkdirSync(projectPath("build"), { recursive: true });
      folder = mkdtempSync(projectPath("build", "kustomize-"));
    });

    afterAll(() => rmSync(folder, { recursive: true }));

    /** The objects of an overlay with these values and components. */
    async function overlay(...components: string[]): Promise<Manifest[]> {
      const metadata = { name: "mcp-guard-values", annotations: { "config.kubernetes.io/local-config": "true" } };
      const values = { apiVersion: "v1", kind: "ConfigMap", metadata, data: VALUES };
      const place = (name: string) => path.relative(folder, path.join(ISTIO, name));
      const kustomization = {
        apiVersion: "kustomize.config.k8s.io/v1beta1",
        kind: "Kustomization",
        resources: [place("base"), "values.yaml"],
        components: components.map((name) => place(path.join("components", name))),
      };
      writeFileSync(path.join(folder, "values.yaml"), JSON.stringify(values));
      writeFileSync(path.join(folder, "kustomization.yaml"), JSON.stringify(kustomization));
      return manifestsOf(await build!(folder));
    }

    test("the values of the test are those that there are, and all are others", () => {
      const [values] = readManifests("deploy/istio/values/values.yaml");
      const reference = (values as unknown as { data: Record<string, string> }).data;
      expect(Object.keys(VALUES).sort()).toEqual(Object.keys(reference).sort());
      for (const [name, value] of Object.entries(VALUES)) expect(value, name).not.toBe(reference[name]);
    });

    test.each([
      [["values", "registry", "aws", "collector", "legacy", "own-names"]],
      [["values", "registry", "aws", "collector", "legacy", "traffic-extension", "own-names"]],
      [["values", "registry", "modern", "traffic-extension", "own-names"]],
      [["values", "image-volume", "modern", "own-names"]],
      [["values", "on-behalf-of", "registry", "aws", "collector", "legacy", "own-names"]],
      [["values", "on-behalf-of", "image-volume", "traffic-extension", "own-names"]],
      [["values", "registry", "aws", "collector", "waypoint", "own-names"]],
      [["values", "registry", "collector", "legacy", "traffic-extension", "waypoint", "waypoint-legacy", "own-names"]],
      [["values", "registry", "modern", "traffic-extension", "waypoint", "own-names"]],
    ])("%j: nothing of the reference is left", async (components) => {
      const manifests = await overlay(...components);
      for (const manifest of manifests) expect(manifestComplaints(manifest), JSON.stringify(manifest)).toEqual([]);
      const left = JSON.stringify(manifests).replaceAll(STAYS, "");
      expect(left).not.toMatch(
        /github|ai-agents|ai-gateway|"gateway"|internal-registry|8080|8081|4318|"approval|approval\.|observab|otel-|cluster\.local\/|"\/rpc"|\/messages|10\.0\.0|eu-west|123456789012|idp\.example|192\.0\.2\.20|mcp-gateway|mcp-guard-token|PORT|(?<!"valueFrom":")HOST|AUDIENCE|TOKENS|COLLECTOR|STS"|IMAGE/,
      );
      // What all servers of a namespace share keeps its name.
      const shared = manifests.filter(({ metadata }) => /^(allow-nothing|default-deny)$/.test(metadata.name));
      expect(shared.map(({ kind }) => kind).sort()).toEqual(["AuthorizationPolicy", "NetworkPolicy"]);
      // Every object of one server has a name of its own.
      const perServer = [
        "WasmPlugin",
        "TrafficExtension",
        "DestinationRule",
        "RequestAuthentication",
        "ServiceEntry",
        "Sidecar",
        "Telemetry",
        "AuthorizationPolicy",
      ];
      for (const { kind, metadata } of manifests) {
        if (!perServer.includes(kind) || /^(waypoint-)?allow-nothing$/.test(metadata.name)) continue;
        // Those in the namespace of the approval service stand beside the same of servers of other namespaces.
        expect(metadata.name).toMatch(metadata.namespace === "others" ? /-true$/ : /-true\.others$/);
      }
    });
  });
}
