// Every manifest against the strict schemas of Istio, the Gateway API and Kubernetes. Goal: ours have no fault, the standard's draft those that are known, and a
// fault is seen. Method: deploy/schemas over each document; then copies of ours, each broken in one way.
import { describe, expect, test } from "vitest";
import { manifestFiles, readManifests, theOne } from "./manifest-files.ts";
import { manifestComplaints } from "./schemas.ts";

const FOLDERS = ["base", "admission", "approval-service", "gateway", "values", "rendered"];
const OURS = FOLDERS.flatMap((folder) => manifestFiles("deploy", "istio", folder));

test("all of our manifests are looked at", () => {
  expect(OURS.length).toBeGreaterThan(20);
  const kinds = OURS.flatMap(readManifests).map(({ kind }) => kind);
  expect(new Set(kinds).size).toBeGreaterThan(18);
});

test.each(OURS)("%s has no fault", (file) => {
  for (const manifest of readManifests(file)) expect(manifestComplaints(manifest), manifest.metadata.name).toEqual([]);
});

test("the standard's draft has the faults that a schema can see, and no other", () => {
  const faults = manifestFiles("examples", "standard").flatMap((file) =>
    readManifests(file).flatMap((manifest) =>
      manifestComplaints(manifest).map((complaint) => `${manifest.kind} ${manifest.metadata.name} ${complaint}`),
    ),
  );
  expect(faults).toEqual(["Deployment github-mcp-server /spec: must have required property 'selector'"]);
});

describe("a copy of ours is refused with", () => {
  type Change = (manifest: Record<string, never>) => void;
  const cases: readonly [string, string, Change, string | RegExp][] = [
    ["an unknown field", "WasmPlugin", set("spec.typ", "HTTP"), "/spec: must NOT have additional properties (typ)"],
    [
      "an unknown field deep inside",
      "Deployment",
      set("spec.template.spec.containers.0.securityContext.readOnlyRootFileSystem", true),
      "/spec/template/spec/containers/0/securityContext: must NOT have additional properties (readOnlyRootFileSystem)",
    ],
    [
      "an unknown field in the metadata",
      "Namespace",
      set("metadata.label", {}),
      "/metadata: must NOT have additional properties (label)",
    ],
    ["an unknown field beside spec", "Sidecar", set("specs", {}), ": must NOT have additional properties (specs)"],
    ["a status", "Service", set("status", {}), ": must NOT have additional properties (status)"],
    [
      "a value that is none",
      "WasmPlugin",
      set("spec.failStrategy", "FAIL_MAYBE"),
      /^\/spec\/failStrategy: must be equal to one of the allowed values/,
    ],
    [
      "a mode that is none",
      "PeerAuthentication",
      set("spec.mtls.mode", "strict"),
      /^\/spec\/mtls\/mode: must be equal to one of the allowed values/,
    ],
    ["a missing selector", "Deployment", unset("spec.selector"), "/spec: must have required property 'selector'"],
    ["a missing spec", "Deployment", unset("spec"), ": must have required property 'spec'"],
    ["no name", "Service", unset("metadata.name"), "/metadata: must have required property 'name'"],
    ["a number for a text", "AuthorizationPolicy", set("spec.action", 1), /^\/spec\/action: must be string/],
    [
      "a port that is a number where names and numbers are texts",
      "AuthorizationPolicy",
      set("spec.rules", [{ to: [{ operation: { ports: [8080] } }] }]),
      "/spec/rules/0/to/0/operation/ports/0: must be string",
    ],
    ["a text for a number", "Deployment", set("spec.replicas", "2"), "/spec/replicas: must be integer"],
    ["a text for a list", "ServiceEntry", set("spec.hosts", "api.github.com"), "/spec/hosts: must be array"],
    ["a digest that is none", "WasmPlugin", set("spec.sha256", "abc"), /^\/spec\/sha256: must match pattern/],
    [
      "a version of another kind",
      "Telemetry",
      set("apiVersion", "telemetry.istio.io/v1alpha9"),
      ": there is no schema for telemetry.istio.io/v1alpha9 Telemetry",
    ],
    [
      "a kind that is none",
      "Sidecar",
      set("kind", "SideCar2"),
      /there is no schema for networking\.istio\.io\/v1 SideCar2/,
    ],
    [
      "a label that is no text",
      "NetworkPolicy",
      set("spec.podSelector", { matchLabels: { app: true } }),
      "/spec/podSelector/matchLabels/app: must be string",
    ],
  ];

  test.each(cases)("%s", (_, kind, change, complaint) => {
    const base = manifestFiles("deploy", "istio", "base").flatMap(readManifests);
    const copy = structuredClone(
      kind === "AuthorizationPolicy" || kind === "NetworkPolicy"
        ? base.find((one) => one.kind === kind)!
        : theOne(base, kind),
    );
    change(copy as unknown as Record<string, never>);
    expect(manifestComplaints(copy)).toContainEqual(
      typeof complaint === "string" ? complaint : expect.stringMatching(complaint),
    );
  });

  function set(place: string, value: unknown): Change {
    return (manifest) => {
      const [owner, name] = ownerOf(manifest, place);
      owner[name] = value;
    };
  }

  function unset(place: string): Change {
    return (manifest) => {
      const [owner, name] = ownerOf(manifest, place);
      expect(owner).toHaveProperty(name);
      delete owner[name];
    };
  }

  function ownerOf(manifest: Record<string, unknown>, place: string): [Record<string, unknown>, string] {
    const names = place.split(".");
    const last = names.pop() ?? "";
    return [names.reduce((inner, name) => inner[name] as Record<string, unknown>, manifest), last];
  }
});
