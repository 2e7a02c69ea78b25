// The manifests before Istio's and Kubernetes' own validation and admission. Goal: an API server takes all of them, and its admission policies keep the guard in
// place. Method: Istio's CRDs with CEL, istiod's webhook, and the API server's admission plugin over requests that are right and wrong; each rule of a
// policy, and each condition for it, is seen to decide about one of the requests.
import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { projectPath } from "../../src/project.ts";
import { goTool, istioCrds } from "./go-tools.ts";
import { decide, type Request } from "./pilot/admission.ts";
import { type Manifest, manifestsIn, overlay, writeManifests } from "./pilot/manifests.ts";

// Built before the tests, which have time limits.
const istio = await goTool("istio");
const run = promisify(execFile);

const filesIn = (...folder: readonly string[]) =>
  readdirSync(projectPath(...folder))
    .filter((name) => name.endsWith(".yaml"))
    .map((name) => [...folder, name].join("/"));

describe("Istio's validation", () => {
  let folder: string;
  let crds: readonly string[];

  beforeAll(async () => {
    folder = mkdtempSync(path.join(tmpdir(), "mcp-guard-manifests-"));
    const own = await istioCrds();
    // The Gateway API's, of the version that Istio is tested with.
    const module = path.resolve(own, ...Array.from({ length: 5 }, () => ".."));
    crds = [own, path.join(module, "tests", "integration", "pilot", "testdata", "gateway-api-crd.yaml")];
  });

  afterAll(() => rmSync(folder, { recursive: true }));

  const isIstios = ({ apiVersion }: Manifest) => /^[\w.]*(istio\.io|gateway\.networking\.k8s\.io)\//.test(apiVersion);

  // Kubernetes' own kinds are checked against its schemas elsewhere (test/deploy).
  const files = [...filesIn("deploy", "istio", "rendered"), ...filesIn("examples", "standard")].filter((file) =>
    manifestsIn(file).some(isIstios),
  );

  test.each(files)("takes %s", async (name) => {
    const manifests = manifestsIn(name).filter(isIstios);
    const file = path.join(folder, "manifests.yaml");
    writeManifests(file, manifests);
    const { stdout } = await run(istio, ["validate", ...crds.flatMap((crd) => ["-crds", crd]), file]).catch(
      (error) => error,
    );
    expect(stdout.trimEnd().split("\n")).toEqual(
      manifests.map(({ kind, metadata }) => `ok ${kind} ${metadata.namespace ?? ""}/${metadata.name}`),
    );
  });
});

describe("admission", () => {
  const DIGEST = "0".repeat(64);
  const POLICIES = manifestsIn("deploy", "istio", "rendered", "admission.yaml");
  const one = (manifests: readonly Manifest[], kind: string): Manifest => {
    const [found, ...others] = manifests.filter((manifest) => manifest.kind === kind);
    if (found === undefined || others.length > 0) throw new Error(`no single ${kind}`);
    return found;
  };
  const at = (manifest: Manifest, namespace: string): Manifest => ({
    ...structuredClone(manifest),
    metadata: { ...structuredClone(manifest.metadata), namespace },
  });
  /** A copy that is changed. */
  const but = (manifest: Manifest, change: (copy: Loose) => void): Manifest => {
    const copy = structuredClone(manifest);
    change(copy as Loose);
    return copy;
  };

  const namespace = one(overlay("sidecar"), "Namespace");
  const ambient = but(one(overlay("waypoint"), "Namespace"), ({ metadata }) => {
    metadata.name = "behind-waypoint";
  });
  const free: Manifest = { apiVersion: "v1", kind: "Namespace", metadata: { name: "free" } };
  const leaving = but(namespace, ({ metadata }) => {
    metadata.name = "leaving";
    metadata.deletionTimestamp = "2026-01-01T00:00:00Z";
  });
  const STATE = [...POLICIES, namespace, ambient, free, leaving];

  const plugin = one(overlay("sidecar"), "WasmPlugin");
  const extension = one(overlay("traffic-extension"), "TrafficExtension");
  const waypointPlugin = at(one(overlay("waypoint"), "WasmPlugin"), "behind-waypoint");
  const otherPlugin = but(plugin, ({ metadata, spec }) => {
    metadata.name = "other";
    delete spec.pluginConfig;
  });
  const released = (manifest: Manifest, reason = "moved") =>
    but(manifest, ({ metadata }) => {
      metadata.annotations = { ...metadata.annotations, "mcp-guard/release": reason };
    });
  const envoyFilter: Manifest = {
    apiVersion: "networking.istio.io/v1alpha3",
    kind: "EnvoyFilter",
    metadata: { name: "any", namespace: "ai-agents" },
    spec: {},
  };

  const template = one(overlay("sidecar"), "Deployment").spec.template;
  /** A pod of the Deployment, as it is behind injection with istio-cni. */
  const pod: Manifest = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: "github-mcp-server-0",
      namespace: "ai-agents",
      labels: { ...template.metadata.labels, "security.istio.io/tlsMode": "istio" },
      annotations: {
        "sidecar.istio.io/status": "{}",
        "sidecar.istio.io/interceptionMode": "REDIRECT",
        "traffic.sidecar.istio.io/includeInboundPorts": "*",
        "traffic.sidecar.istio.io/excludeInboundPorts": "15020",
        "traffic.sidecar.istio.io/includeOutboundIPRanges": "*",
      },
    },
    spec: {
      ...template.spec,
      initContainers: [
        {
          name: "istio-proxy",
          image: "proxyv2:1",
          restartPolicy: "Always",
          securityContext: { runAsUser: 1337, runAsGroup: 1337 },
        },
      ],
    },
  } as Manifest;
  const annotated = (name: string, value: string) =>
    but(pod, ({ metadata }) => {
      metadata.annotations[name] = value;
    });
  const ambientPod: Manifest = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "github-mcp-server-0", namespace: "behind-waypoint", labels: { app: "github-mcp-server" } },
    spec: template.spec,
  } as Manifest;
  const redirected = (value: string) =>
    but(ambientPod, ({ metadata }) => {
      metadata.annotations = { "ambient.istio.io/redirection": value };
    });
  const waypointPod = but(ambientPod, ({ metadata, spec }) => {
    metadata.labels["gateway.networking.k8s.io/gateway-class-name"] = "istio-waypoint";
    metadata.labels["istio.io/dataplane-mode"] = "none";
    metadata.annotations = { "sidecar.istio.io/inject": "false" };
    spec.containers[0].name = "istio-proxy";
  });

  const create = (object: Manifest): Request => ({ operation: "CREATE", object });
  const update = (oldObject: Manifest, object: Manifest, subresource?: string): Request => ({
    operation: "UPDATE",
    oldObject,
    object,
    ...(subresource !== undefined && { subresource }),
  });
  const drop = (oldObject: Manifest): Request => ({ operation: "DELETE", oldObject });

  const ADMITTED: Readonly<Record<string, Request>> = {
    "the guard as it is rendered": create(plugin),
    "the guard as a TrafficExtension": create(extension),
    "the guard from a volume": create(one(overlay("image-volume"), "WasmPlugin")),
    "the guard of a waypoint": create(waypointPlugin),
    "a guard without a match": create(but(plugin, ({ spec }) => delete spec.match)),
    "a guard for both directions": create(but(plugin, ({ spec }) => Object.assign(spec, { match: [{}] }))),
    "another filter for one port": create(
      but(otherPlugin, ({ spec }) => Object.assign(spec, { match: [{ mode: "CLIENT", ports: [{ number: 1 }] }] })),
    ),
    "an extension that is no Wasm": create(
      but(extension, ({ spec }) => {
        delete spec.wasm;
        spec.lua = { inlineCode: "" };
      }),
    ),
    "a mutable image where nothing is guarded": create(
      at(
        but(plugin, ({ spec }) => Object.assign(spec, { url: "oci://a/b:latest" })),
        "free",
      ),
    ),
    "a guard that is applied again": update(plugin, plugin),
    "one more tool": update(
      plugin,
      but(plugin, ({ spec }) => spec.pluginConfig.tool_allowlist.push("list_issues")),
    ),
    "a guard that is released": update(plugin, released(plugin)),
    "the end of a released guard": drop(released(plugin)),
    "another selector of a released guard": update(
      released(plugin),
      but(released(plugin), ({ spec }) => Object.assign(spec.selector.matchLabels, { app: "a" })),
    ),
    "the end of another filter": drop(otherPlugin),
    "the end of a guard with its namespace": drop(at(plugin, "leaving")),
    "the end of a guard where nothing is guarded": drop(at(plugin, "free")),
    "an EnvoyFilter where nothing is guarded": create(at(envoyFilter, "free")),
    "the end of an EnvoyFilter": drop(envoyFilter),
    "a pod with its proxy": create(pod),
    "a pod with its proxy among the containers": create(
      but(pod, ({ spec }) => {
        spec.containers.push({ ...spec.initContainers[0], restartPolicy: undefined });
        delete spec.initContainers;
      }),
    ),
    "a pod with the guard's volume": create(
      but(pod, ({ metadata }) =>
        Object.assign(
          metadata.annotations,
          one(overlay("image-volume"), "Deployment").spec.template.metadata.annotations,
        ),
      ),
    ),
    "a pod where nothing is guarded": create(but(at(pod, "free"), ({ spec }) => delete spec.initContainers)),
    "a pod with more memory for its proxy": create(annotated("sidecar.istio.io/proxyMemory", "1Gi")),
    "a container to look into a pod": update(
      pod,
      but(pod, ({ spec }) => Object.assign(spec, { ephemeralContainers: [{ name: "debug", image: "a" }] })),
      "ephemeralcontainers",
    ),
    "a pod of the ambient mesh": create(ambientPod),
    "what istio-cni notes of a running pod": update(ambientPod, redirected("enabled"), "status"),
    "the waypoint's own pod": create(waypointPod),
    "one more label of a namespace": update(
      namespace,
      but(namespace, ({ metadata }) => Object.assign(metadata.labels, { team: "a" })),
    ),
    "another revision of Istio": update(
      namespace,
      but(namespace, ({ metadata }) => {
        delete metadata.labels["istio-injection"];
        metadata.labels["istio.io/rev"] = "1-31";
      }),
    ),
    "a released namespace without its labels": update(
      released(namespace),
      but(released(namespace), ({ metadata }) => {
        metadata.labels = {};
      }),
    ),
    "a namespace that was not guarded": update(
      free,
      but(free, ({ metadata }) => Object.assign(metadata, { labels: { a: "b" } })),
    ),
    "a label of an ambient namespace": update(
      ambient,
      but(ambient, ({ metadata }) => Object.assign(metadata.labels, { team: "a" })),
    ),
  };

  const REFUSED: Readonly<Record<string, readonly [Request, string]>> = {
    "a tag": [
      create(but(plugin, ({ spec }) => Object.assign(spec, { url: "oci://internal-registry.io/mcp-guard-filter:v1" }))),
      "by its digest",
    ],
    "a short digest": [
      create(but(plugin, ({ spec }) => Object.assign(spec, { url: `oci://a/b@sha256:${DIGEST.slice(1)}` }))),
      "by its digest",
    ],
    "something behind a digest": [
      create(but(plugin, ({ spec }) => Object.assign(spec, { url: `oci://a/b@sha256:${DIGEST}:v1` }))),
      "by its digest",
    ],
    "another file": [
      create(but(plugin, ({ spec }) => Object.assign(spec, { url: "file:///tmp/plugin.wasm" }))),
      "by its digest",
    ],
    "a url of the web": [
      create(but(plugin, ({ spec }) => Object.assign(spec, { url: "https://a/plugin.wasm" }))),
      "by its digest",
    ],
    "an extension without a url": [create(but(extension, ({ spec }) => delete spec.wasm.url)), "by its digest"],
    "a tag of another filter": [
      create(but(otherPlugin, ({ spec }) => Object.assign(spec, { url: "oci://a/b:v1" }))),
      "by its digest",
    ],
    "a tag in a waypoint's namespace": [
      create(but(waypointPlugin, ({ spec }) => Object.assign(spec, { url: "oci://a/b:v1" }))),
      "by its digest",
    ],
    "a guard that fails open": [
      create(but(plugin, ({ spec }) => Object.assign(spec, { failStrategy: "FAIL_OPEN" }))),
      "FAIL_OPEN",
    ],
    "an extension that fails open": [
      update(
        extension,
        but(extension, ({ spec }) => Object.assign(spec.wasm, { failStrategy: "FAIL_OPEN" })),
      ),
      "FAIL_OPEN",
    ],
    "a guard for clients": [
      create(but(plugin, ({ spec }) => Object.assign(spec, { match: [{ mode: "CLIENT" }] }))),
      "match with mode SERVER",
    ],
    "a guard for one port": [
      create(
        but(plugin, ({ spec }) => Object.assign(spec, { match: [{ mode: "SERVER", ports: [{ number: 8080 }] }] })),
      ),
      "match with mode SERVER",
    ],
    "a guard that sees no requests": [
      create(but(plugin, ({ spec }) => Object.assign(spec, { type: "NETWORK" }))),
      "network filter",
    ],
    "the end of a guard": [drop(plugin), "this takes pods out"],
    "the end of a guard in its other form": [drop(extension), "this takes pods out"],
    "the end of a guard with an empty reason": [drop(released(plugin, "")), "this takes pods out"],
    "another selector": [
      update(
        plugin,
        but(plugin, ({ spec }) => Object.assign(spec.selector.matchLabels, { app: "a" })),
      ),
      "another selector",
    ],
    "no selector": [
      update(
        plugin,
        but(plugin, ({ spec }) => delete spec.selector),
      ),
      "another selector",
    ],
    "another selector with the release in one": [
      update(
        plugin,
        but(released(plugin), ({ spec }) => Object.assign(spec.selector.matchLabels, { app: "a" })),
      ),
      "another selector",
    ],
    "another Service": [
      update(
        waypointPlugin,
        but(waypointPlugin, ({ spec }) => Object.assign(spec.targetRefs[0], { name: "a" })),
      ),
      "other targetRefs",
    ],
    "no list of tools": [
      update(
        plugin,
        but(plugin, ({ spec }) => delete spec.pluginConfig.tool_allowlist),
      ),
      "no guard any more",
    ],
    "an EnvoyFilter": [create(envoyFilter), "EnvoyFilter"],
    "a changed EnvoyFilter": [update(envoyFilter, envoyFilter), "EnvoyFilter"],
    "a pod without a proxy": [create(but(pod, ({ spec }) => delete spec.initContainers)), "no sidecar"],
    "a pod without injection": [
      create(but(pod, ({ metadata }) => Object.assign(metadata.labels, { "sidecar.istio.io/inject": "false" }))),
      "needs its sidecar",
    ],
    "a port that goes around the proxy": [
      create(annotated("traffic.sidecar.istio.io/excludeInboundPorts", "8080")),
      "leads traffic around it",
    ],
    "addresses that go around the proxy": [
      create(annotated("traffic.sidecar.istio.io/excludeOutboundIPRanges", "0.0.0.0/0")),
      "leads traffic around it",
    ],
    "no interception": [create(annotated("sidecar.istio.io/interceptionMode", "NONE")), "leads traffic around it"],
    "another image of the proxy": [create(annotated("sidecar.istio.io/proxyImage", "a")), "leads traffic around it"],
    "another configuration of the proxy": [create(annotated("proxy.istio.io/config", "{}")), "leads traffic around it"],
    "another template of injection": [create(annotated("inject.istio.io/templates", "a")), "leads traffic around it"],
    "another status port": [create(annotated("status.sidecar.istio.io/port", "8080")), "leads traffic around it"],
    "a volume without a digest": [
      create(
        annotated(
          "sidecar.istio.io/userVolume",
          '{"mcp-guard":{"image":{"reference":"a/b:v1","pullPolicy":"IfNotPresent"}}}',
        ),
      ),
      "leads traffic around it",
    ],
    "a second volume": [
      create(
        annotated(
          "sidecar.istio.io/userVolume",
          `{"mcp-guard":{"image":{"reference":"a@sha256:${DIGEST}","pullPolicy":"IfNotPresent"}},"b":{}}`,
        ),
      ),
      "leads traffic around it",
    ],
    "a pod as the proxy's user": [
      create(but(pod, ({ spec }) => Object.assign(spec.securityContext, { runAsUser: 1337 }))),
      "1337",
    ],
    "a pod as the proxy's group": [
      create(but(pod, ({ spec }) => Object.assign(spec.securityContext, { runAsGroup: 1337 }))),
      "1337",
    ],
    "a container as the proxy's user": [
      create(but(pod, ({ spec }) => Object.assign(spec.containers[0].securityContext, { runAsUser: 1337 }))),
      "1337",
    ],
    "an init container as the proxy's user": [
      create(but(pod, ({ spec }) => spec.initContainers.push({ name: "a", securityContext: { runAsUser: 1337 } }))),
      "1337",
    ],
    "a container to look as the proxy's user": [
      update(
        pod,
        but(pod, ({ spec }) =>
          Object.assign(spec, { ephemeralContainers: [{ name: "debug", securityContext: { runAsUser: 1337 } }] }),
        ),
        "ephemeralcontainers",
      ),
      "1337",
    ],
    "another label of a running pod": [
      update(
        pod,
        but(pod, ({ metadata }) => Object.assign(metadata.labels, { app: "a" })),
      ),
      "running pod out of the guard",
    ],
    "another label with a pod's status": [
      update(
        pod,
        but(pod, ({ metadata }) => Object.assign(metadata.labels, { app: "a" })),
        "status",
      ),
      "running pod out of the guard",
    ],
    "another proxy of a running pod": [
      update(
        pod,
        but(pod, ({ spec }) => Object.assign(spec.initContainers[0], { image: "a" })),
      ),
      "stays the one",
    ],
    "a pod outside of the ambient mesh": [
      create(but(ambientPod, ({ metadata }) => Object.assign(metadata.labels, { "istio.io/dataplane-mode": "none" }))),
      "stays in the ambient mesh",
    ],
    "a pod that is not redirected": [create(redirected("disabled")), "out of the ambient mesh"],
    "a pod that says it is a waypoint": [
      create(but(waypointPod, ({ spec }) => spec.containers.push({ name: "server" }))),
      "stays in the ambient mesh",
    ],
    "another label of a running ambient pod": [
      update(
        ambientPod,
        but(ambientPod, ({ metadata }) => Object.assign(metadata.labels, { app: "a" })),
      ),
      "running pod out of the guard",
    ],
    "another note of a running pod": [update(ambientPod, redirected("disabled")), "running pod out of the mesh"],
    "another annotation of a running pod": [
      update(pod, annotated("sidecar.istio.io/interceptionMode", "NONE")),
      "running pod out of the mesh",
    ],
    "a namespace without its label": [
      update(
        namespace,
        but(namespace, ({ metadata }) => delete metadata.labels["mcp-guard/guarded"]),
      ),
      "keeps the guard in place",
    ],
    "a namespace without Pod Security": [
      update(
        namespace,
        but(namespace, ({ metadata }) => delete metadata.labels["pod-security.kubernetes.io/enforce"]),
      ),
      "keeps the guard in place",
    ],
    "a namespace with less Pod Security": [
      update(
        namespace,
        but(namespace, ({ metadata }) =>
          Object.assign(metadata.labels, { "pod-security.kubernetes.io/enforce": "baseline" }),
        ),
      ),
      "keeps the guard in place",
    ],
    "a namespace without its waypoint": [
      update(
        ambient,
        but(ambient, ({ metadata }) => delete metadata.labels["istio.io/use-waypoint"]),
      ),
      "keeps the guard in place",
    ],
    "a namespace outside of the ambient mesh": [
      update(
        ambient,
        but(ambient, ({ metadata }) => delete metadata.labels["istio.io/dataplane-mode"]),
      ),
      "keeps the guard in place",
    ],
    "a namespace without injection": [
      update(
        namespace,
        but(namespace, ({ metadata }) => delete metadata.labels["istio-injection"]),
      ),
      "without injection",
    ],
    "a namespace without its labels, released in one": [
      update(
        namespace,
        but(released(namespace), ({ metadata }) => Object.assign(metadata, { labels: {} })),
      ),
      "keeps the guard in place",
    ],
  };
  const REQUESTS = [...Object.values(ADMITTED), ...Object.values(REFUSED).map(([request]) => request)];
  const NAMES = [...Object.keys(ADMITTED), ...Object.keys(REFUSED)];

  /** What becomes of all requests, by their names: `admitted`, or the message of the rule that refuses. */
  async function outcomes(state: readonly Manifest[] = STATE): Promise<Readonly<Record<string, string>>> {
    const { wrong, refusals } = await decide(state, REQUESTS);
    expect(wrong).toEqual([]);
    return Object.fromEntries(NAMES.map((name, index) => [name, refusals[index] || "admitted"]));
  }

  test("admits what is right, and refuses what is wrong, with the rule's message", async () => {
    const admitted = Object.keys(ADMITTED).map((name) => [name, "admitted"]);
    const refused = Object.entries(REFUSED).map(([name, [, words]]) => [name, expect.stringContaining(words)]);
    expect(await outcomes()).toEqual(Object.fromEntries([...admitted, ...refused]));
  });

  test("a policy that does not compile is found", async () => {
    const broken = POLICIES.map((policy, index) =>
      index > 0
        ? policy
        : but(policy, ({ spec }) => Object.assign(spec.validations[0], { expression: "object.spec.(" })),
    );
    const { wrong } = await decide(broken, []);
    // By the CEL of the oldest Kubernetes, and by that of the newest.
    expect(wrong).toHaveLength(2);
  });

  // Each rule has a request that it alone refuses, and each condition one that it alone saves.
  const parts = POLICIES.filter(({ kind }) => kind === "ValidatingAdmissionPolicy").flatMap((policy) => [
    ...policy.spec.validations.map(
      (_: unknown, index: number) => [policy.metadata.name, "validations", index] as const,
    ),
    ...(policy.spec.matchConditions ?? []).map(
      (_: unknown, index: number) => [policy.metadata.name, "matchConditions", index] as const,
    ),
  ]);
  test.each(parts)("%s: %s %i decides", async (name, list, index) => {
    const state = STATE.map((manifest) =>
      manifest.kind !== "ValidatingAdmissionPolicy" || manifest.metadata.name !== name
        ? manifest
        : but(manifest, ({ spec }) => Object.assign(spec[list][index], { expression: "true" })),
    );
    const [before, after] = [await outcomes(), await outcomes(state)];
    const differing = NAMES.filter((request) => before[request] !== after[request]);
    const wanted = list === "validations" ? "admitted" : "";
    expect(differing.map((request) => after[request])).toContainEqual(
      wanted === "admitted" ? "admitted" : expect.not.stringMatching(/^admitted$/),
    );
  });
});

/** An object whose members a test changes at will. */
// biome-ignore lint/suspicious/noExplicitAny: see above.
type Loose = any;
