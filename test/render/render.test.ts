// mcp-guard render. Goal: the overlay of a server builds to manifests that have this server's values and nothing of the reference's, open what was named and
// nothing else, and are valid; what would not hold is refused, and then nothing is written. Method: the command itself into folders of its own;
// where kustomize is found the overlay is built and checked by deploy/schemas, by the policy's schema and by the filter.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { render } from "../../src/cli/commands/render.ts";
import { writeFolder } from "../../src/deploy/output-folder.ts";
import { GuardError } from "../../src/error.ts";
import { Filter } from "../../src/policy/filter.ts";
import { policyPlace } from "../../src/policy/policy-place.ts";
import { projectPath } from "../../src/project.ts";
import { examine } from "../check/examine.ts";
import { REQUIRED } from "../config/approval-member.ts";
import { schemaComplaints } from "../config/schema.ts";
import { findKustomize } from "../deploy/kustomize.ts";
import { type Manifest, manifestsOf, theOne } from "../deploy/manifest-files.ts";
import { manifestComplaints } from "../deploy/schemas.ts";

const MODULE = readFileSync(projectPath("build", "plugin.wasm"));
const DIGEST = `sha256:${"a1".repeat(32)}`;
const GUARD = `other.example:5009/team/guard@${DIGEST}`;
const POLICY = {
  tool_allowlist: ["list_issues", "get_issue"],
  identity: {
    header: { name: "User-Identity", trusted_gateways: ["spiffe://cluster.local/ns/gateway/sa/ai-gateway"] },
    require_human: true,
  },
  audit: { arguments: "digest" },
};

/** What a policy has to say about approvals; the command knows the rest. */
const APPROVAL = { mode: "required", page: "https://approve.example/a/", keys: REQUIRED.keys };
const PLACE = {
  cluster: "outbound|8443||asked.elsewhere.svc.cluster.local",
  authority: "asked.elsewhere.svc.cluster.local:8443",
  path: "/guards",
};

/** A policy whose guard exchanges tokens; the command knows the rest. */
const TOKEN_EXCHANGE = {
  service: { path: "/token" },
  client: { id: "jira-guard", auth: "client_secret_basic", secret_env: "CLIENT_PASS" },
  audience: "jira",
};
const EXCHANGES = {
  ...POLICY,
  identity: {
    ...POLICY.identity,
    jwt: [
      { provider: "payload", issuer: "https://people.other", claim: "sub" },
      { provider: "payload", issuer: "https://partners.other", claim: "sub" },
    ],
  },
  authorization: "exchange",
  token_exchange: TOKEN_EXCHANGE,
};
const TOKEN_OPTIONS = [
  ["--token-service", "mint.other=198.51.100.8/32,198.51.100.9/32"],
  ["--issuer", "https://people.other=https://people.other/jwks"],
  ["--issuer", "https://partners.other=https://keys.partners.other/set"],
  ["--audience", "agents"],
  ["--secret", "CLIENT_PASS=jira-client/pass"],
].flat();

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "mcp-guard-render-"));
  writeFileSync(inFolder("policy.yaml"), stringify(POLICY));
});

afterEach(() => rmSync(folder, { recursive: true }));

const inFolder = (...names: string[]): string => path.join(folder, ...names);

interface Output {
  status: number;
  out: string;
  notes: string;
}

/** Runs the command for a server `jira` in the namespace `tools`, into the folder `jira`, unless the options say otherwise. */
async function run(...options: string[]): Promise<Output> {
  let out = "";
  let notes = "";
  const defaults = {
    "--server": "jira",
    "--namespace": "tools",
    "--policy": inFolder("policy.yaml"),
    "--image": GUARD,
    "--out": inFolder("jira"),
  };
  const missing = Object.entries(defaults).filter(([name]) => !options.includes(name));
  const status = await render([...options, ...missing.flat()], {
    out: (line) => {
      out += `${line}\n`;
    },
    warn: (line) => {
      notes += `${line}\n`;
    },
    status: () => {},
    env: {},
    signal: new AbortController().signal,
  });
  return { status, out, notes };
}

/** What the command says when it refuses. */
async function refusal(...options: string[]): Promise<{ code: string; message: string }> {
  try {
    await run(...options);
  } catch (error) {
    if (error instanceof GuardError) return { code: error.code, message: error.message };
    throw error;
  }
  return { code: "none", message: "" };
}

test("--help shows each option and an example", async () => {
  const { out, status } = await run("--help");
  expect(status).toBe(0);
  expect(out).toContain("mcp-guard render --server jira-mcp");
  for (const option of [
    "image-volume",
    "registry",
    "egress",
    "collector",
    "token-service",
    "issuer",
    "audience",
    "secret",
    "legacy",
    "modern",
    "waypoint",
    "out",
  ]) {
    expect(out).toContain(`--${option}`);
  }
});

test("the overlay refers to the base, wherever it lies", async () => {
  const { out } = await run();
  const files = ["kustomization.yaml", "values.yaml", "server/kustomization.yaml", "server/policy.yaml"];
  for (const file of files) {
    expect(out).toContain(path.join("jira", file));
    expect(readFileSync(inFolder("jira", file), "utf8")).toMatch(/^# Written by mcp-guard render\.\n/);
  }
  const { resources, components } = parse(readFileSync(inFolder("jira", "kustomization.yaml"), "utf8")) as {
    resources: string[];
    components: string[];
  };
  for (const place of [resources[0] ?? "", ...components]) {
    expect(path.isAbsolute(place)).toBe(false);
    expect(existsSync(inFolder("jira", place, "kustomization.yaml")), place).toBe(true);
  }
  expect(inFolder("jira", resources[0] ?? "")).toBe(projectPath("deploy", "istio", "base"));
});

describe("refuses, and writes nothing:", () => {
  const cases: readonly [string, string[], string, RegExp][] = [
    ["a tag", ["--image", "other.example/guard:v1"], "ERR_USAGE", /--image .*@sha256:<64 hex.*tag can move/],
    [
      "a tag with a digest",
      ["--image", `other.example/guard:v1@${DIGEST}`],
      "ERR_USAGE",
      /^--image other\.example\/guard:v1@sha256:\w+: the tag goes/,
    ],
    ["a short digest", ["--image", "other.example/guard@sha256:abc"], "ERR_USAGE", /--image .*@sha256:<64 hex/],
    ["a digest in capitals", ["--image", `other.example/guard@${DIGEST.toUpperCase()}`], "ERR_USAGE", /<64 hex/],
    [
      "an image without a registry",
      ["--image", `guard@${DIGEST}`],
      "ERR_USAGE",
      /^--image guard@sha256:\w+: the registry's host is missing/,
    ],
    [
      "a tag of the server's",
      ["--server-image", "other.example/jira:v2"],
      "ERR_USAGE",
      /--server-image .*tag can move/,
    ],
    ["a capital in the name", ["--server", "Jira"], "ERR_USAGE", /--server Jira: .*RFC 1123/],
    ["a dot in the name", ["--server", "ji.ra"], "ERR_USAGE", /RFC 1123/],
    ["a hyphen at the end", ["--server", "jira-"], "ERR_USAGE", /RFC 1123/],
    ["a name that is too long", ["--server", "a".repeat(64)], "ERR_USAGE", /1 to 63/],
    ["an empty name", ["--server", ""], "ERR_USAGE", /RFC 1123/],
    ["a digit in front", ["--server", "1jira"], "ERR_USAGE", /RFC 1035/],
    ["a line break in the name", ["--server", "jira\n"], "ERR_USAGE", /RFC 1123/],
    ["a namespace with a slash", ["--namespace", "a/b"], "ERR_USAGE", /--namespace a\/b: .*RFC 1123/],
    ["a ServiceAccount with a slash", ["--service-account", "a/b"], "ERR_USAGE", /--service-account/],
    ["port 0", ["--port", "0"], "ERR_USAGE", /--port 0: expected a port/],
    ["a port over the range", ["--port", "65536"], "ERR_USAGE", /expected a port/],
    ["a path with a star", ["--path", "/mcp*"], "ERR_USAGE", /--path/],
    ["a relative path", ["--path", "mcp"], "ERR_USAGE", /--path/],
    ["a SPIFFE id", ["--principal", "spiffe://cluster.local/ns/a/sa/b"], "ERR_USAGE", /without spiffe:\/\//],
    ["every principal", ["--principal", "*"], "ERR_USAGE", /expected <trust domain>/],
    ["a part of a principal", ["--principal", "cluster.local/ns/*/sa/b"], "ERR_USAGE", /expected <trust domain>/],
    ["a host without addresses", ["--egress", "api.example"], "ERR_USAGE", /api\.example=<address range>/],
    ["every host", ["--egress", "*.example=192.0.2.0/24"], "ERR_USAGE", /is no host name/],
    ["a URL", ["--egress", "https://api.example=192.0.2.0/24"], "ERR_USAGE", /is no host name/],
    ["all addresses", ["--egress", "api.example=0.0.0.0/0"], "ERR_USAGE", /every address there is/],
    ["all addresses of IPv6", ["--egress", "api.example=192.0.2.1/32,::/0"], "ERR_USAGE", /every address there is/],
    ["an address without a range", ["--egress", "api.example=192.0.2.1"], "ERR_USAGE", /address range/],
    ["a range that is none", ["--registry", "192.0.2.0/33"], "ERR_USAGE", /--registry .*address range/],
    ["all registries", ["--registry", "0.0.0.0/0"], "ERR_USAGE", /every address there is/],
    [
      "a host twice",
      ["--egress", "api.example=192.0.2.1/32", "--egress", "api.example=192.0.2.2/32"],
      "ERR_USAGE",
      /named twice/,
    ],
    ["a collector without a namespace", ["--collector", "otel:4318"], "ERR_USAGE", /<Service>\.<namespace>:<port>/],
    ["a role that is none", ["--role-arn", "arn:aws:iam::123456789012:user/a"], "ERR_USAGE", /:role\/<name>/],
    ["both kinds of clients", ["--legacy", "--modern"], "ERR_USAGE", /use one of them/],
    ["both ways to the image", ["--registry", "192.0.2.1/32", "--image-volume"], "ERR_USAGE", /use one of them/],
    ["a volume of a waypoint", ["--waypoint", "--image-volume"], "ERR_USAGE", /for sidecars/],
  ];

  test.each(cases)("%s", async (_, options, code, words) => {
    expect(await refusal(...options)).toEqual({ code, message: expect.stringMatching(words) });
    expect(readdirSync(folder)).toEqual(["policy.yaml"]);
  });

  test.each<[string, string, string[], RegExp]>([
    ["that the filter refuses", "tool_alowlist: [a]\n", [], /the filter refuses it: .*tool_al/],
    ["of a wrong type", "tool_allowlist: a\n", [], /the filter refuses it: tool_allowlist: /],
    ["that is no YAML", "tool_allowlist: [a\n", [], /line \d+, column \d+/],
    [
      "whose collector cannot have its queue",
      "tool_allowlist: [a]\naudit: { otlp: { queue_bytes: 1 } }\n",
      ["--collector", "otel.obs:4318"],
      /the filter refuses it: audit\.otlp\.queue_bytes/,
    ],
    ["without tools, for rules about headers", "tool_allowlist: []\n", ["--modern"], /tool_allowlist is empty/],
    [
      "with a star, for rules about headers",
      "tool_allowlist: ['get_*']\n",
      ["--modern"],
      /takes "get_\*" for a pattern/,
    ],
  ])("a policy %s", async (_, policy, options, words) => {
    writeFileSync(inFolder("policy.yaml"), policy);
    expect(await refusal(...options)).toEqual({ code: "ERR_POLICY", message: expect.stringMatching(words) });
    expect(readdirSync(folder)).toEqual(["policy.yaml"]);
  });

  test("a policy that is not there", async () => {
    expect(await refusal("--policy", inFolder("none.yaml"))).toMatchObject({ code: "ERR_POLICY" });
  });

  test.each([
    ["a file of somebody else", "notes.txt"],
    ["a file of somebody else under one of our names", "values.yaml"],
    ["a file of somebody else deep inside", path.join("server", "more", "a.yaml")],
  ])("a folder with %s", async (_, name) => {
    mkdirSync(path.dirname(inFolder("jira", name)), { recursive: true });
    writeFileSync(inFolder("jira", name), "mine\n");
    const said = await refusal();
    expect(said).toEqual({ code: "ERR_USAGE", message: expect.stringContaining(`${name} in it is not from this`) });
    expect(readdirSync(inFolder("jira"), { recursive: true }).filter((found) => found === name)).toEqual([name]);
    expect(readFileSync(inFolder("jira", name), "utf8")).toBe("mine\n");
  });

  test("a folder with a link in it, whatever it leads to", async () => {
    mkdirSync(inFolder("jira"));
    writeFileSync(inFolder("ours.yaml"), "# Written by mcp-guard render.\n");
    symlinkSync(inFolder("ours.yaml"), inFolder("jira", "values.yaml"));
    expect(await refusal()).toMatchObject({ code: "ERR_USAGE" });
    expect(readdirSync(inFolder("jira"))).toEqual(["values.yaml"]);
  });

  test("a file where the folder would be", async () => {
    writeFileSync(inFolder("jira"), "mine\n");
    expect(await refusal()).toMatchObject({ code: "ERR_USAGE", message: expect.stringContaining("no folder") });
    expect(readFileSync(inFolder("jira"), "utf8")).toBe("mine\n");
  });

  test.each(["--server", "--namespace", "--policy", "--image"])("no %s", async (option) => {
    const given = { "--server": "jira", "--namespace": "tools", "--policy": "p.yaml", "--image": GUARD };
    const args = Object.entries(given).filter(([name]) => name !== option);
    const context = {
      out: () => {},
      warn: () => {},
      status: () => {},
      env: {},
      signal: new AbortController().signal,
    };
    await expect(render(args.flat(), context)).rejects.toMatchObject({ code: "ERR_USAGE" });
  });
});

describe("the folder", () => {
  test("of an earlier run is replaced, whole", async () => {
    await run("--legacy");
    writeFileSync(inFolder("jira", "old.yaml"), "# Written by mcp-guard render.\n");
    await run();
    expect(readdirSync(inFolder("jira")).sort()).toEqual(["kustomization.yaml", "server", "values.yaml"]);
    expect(readFileSync(inFolder("jira", "kustomization.yaml"), "utf8")).not.toContain("legacy");
    expect(readdirSync(folder).sort()).toEqual(["jira", "policy.yaml"]);
  });

  test("that is empty is taken, and so is one below folders that are not there", async () => {
    mkdirSync(inFolder("jira"));
    expect((await run()).status).toBe(0);
    expect((await run("--out", inFolder("a", "b", "c"))).status).toBe(0);
    expect(readdirSync(inFolder("a", "b", "c")).sort()).toEqual(["kustomization.yaml", "server", "values.yaml"]);
  });

  test("behind a link is the one that the way to the base begins in", async () => {
    mkdirSync(inFolder("deep", "er"), { recursive: true });
    symlinkSync(inFolder("deep", "er"), inFolder("link"));
    await run("--out", inFolder("link", "jira"));
    const text = readFileSync(inFolder("deep", "er", "jira", "kustomization.yaml"), "utf8");
    const { resources } = parse(text) as { resources: string[] };
    expect(inFolder("deep", "er", "jira", resources[0] ?? "")).toBe(projectPath("deploy", "istio", "base"));
  });

  test("stays as it was when a file cannot be written", async () => {
    await run();
    const before = readFileSync(inFolder("jira", "kustomization.yaml"), "utf8");
    // One name is a file and a folder at once, so the second cannot be made.
    const impossible = new Map([
      ["kustomization.yaml", "new\n"],
      ["kustomization.yaml/a", "new\n"],
    ]);
    expect(() => writeFolder(inFolder("jira"), impossible)).toThrow();
    expect(() => writeFolder(inFolder("new", "one"), impossible)).toThrow();
    // Nothing to put in its place, which shows only when the old one is out of the way.
    expect(() => writeFolder(inFolder("jira"), new Map())).toThrow();
    expect(readFileSync(inFolder("jira", "kustomization.yaml"), "utf8")).toBe(before);
    expect(readdirSync(folder).sort()).toEqual(["jira", "policy.yaml"]);
  });
});

describe("refuses about tokens, and writes nothing:", () => {
  const cases: readonly [string, object, string[], RegExp][] = [
    [
      "a token service for a policy that exchanges nothing",
      POLICY,
      ["--token-service", "mint.other=198.51.100.8/32"],
      /exchanges no tokens/,
    ],
    [
      "a token service without addresses",
      EXCHANGES,
      ["--token-service", "mint.other"],
      /--token-service mint\.other: expected mint/,
    ],
    ["an issuer without a token service", EXCHANGES, ["--issuer", "a=https://a.other/b"], /belong to --token-service/],
    [
      "an issuer without an audience",
      EXCHANGES,
      TOKEN_OPTIONS.filter((word) => !["--audience", "agents"].includes(word)),
      /--issuer needs --audience/,
    ],
    [
      "keys over plain HTTP",
      EXCHANGES,
      ["--issuer", "a=http://a.other/b"],
      /--issuer .* expected <issuer>=<https link/,
    ],
    [
      "an issuer without its keys",
      EXCHANGES,
      ["--issuer", "https://a.other"],
      /--issuer .* expected <issuer>=<https link/,
    ],
    ["an audience with a space", EXCHANGES, ["--audience", "a b"], /--audience a b: expected/],
    [
      "a secret without a key",
      EXCHANGES,
      ["--secret", "CLIENT_PASS=jira-client"],
      /--secret CLIENT_PASS=\.\.\.: expected/,
    ],
    [
      "a variable that the policy does not name",
      EXCHANGES,
      [...TOKEN_OPTIONS, "--secret", "OTHER=a/b"],
      /--secret OTHER: .* no such variable/,
    ],
    [
      "a variable twice",
      EXCHANGES,
      [...TOKEN_OPTIONS, "--secret", "CLIENT_PASS=a/b"],
      /--secret CLIENT_PASS: .* twice/,
    ],
    [
      "a guard that exchanges in a waypoint",
      EXCHANGES,
      [...TOKEN_OPTIONS, "--waypoint"],
      /--waypoint: .* in the sidecar/,
    ],
    [
      "the token service as a host of the server",
      EXCHANGES,
      [...TOKEN_OPTIONS, "--egress", "mint.other=198.51.100.8/32"],
      /--egress mint\.other: this is the token service/,
    ],
    [
      "a policy whose cluster is another place",
      {
        ...EXCHANGES,
        token_exchange: {
          ...TOKEN_EXCHANGE,
          service: { path: "/token", cluster: "outbound|443||else.other", authority: "else.other" },
        },
      },
      TOKEN_OPTIONS,
      /--token-service mint\.other: .* another place/,
    ],
  ];

  test.each(cases)("%s", async (_, policy, options, words) => {
    writeFileSync(inFolder("policy.yaml"), stringify(policy));
    const { code, message } = await refusal(...options);
    expect(code).toBe("ERR_USAGE");
    expect(message).toMatch(words);
    expect(existsSync(inFolder("jira"))).toBe(false);
  });

  test("a secret in the place of its name, which it does not repeat", async () => {
    const { code, message } = await refusal("--secret", "CLIENT_PASS=hushhush");
    expect(code).toBe("ERR_USAGE");
    expect(message).not.toContain("hush");
  });
});

describe("notes", () => {
  const COMPLETE = [
    ["--server-image", `other.example/jira@${DIGEST}`],
    ["--registry", "10.9.0.1/32"],
  ].flat();

  test("there are none when nothing is missing", async () => {
    expect((await run(...COMPLETE)).notes).toBe("");
  });

  test.each<[string, string[], object, RegExp]>([
    ["no human is required", [], { tool_allowlist: ["a"] }, /no identity\.require_human/],
    ["another gateway is trusted", ["--principal", "td.example/ns/a/sa/b"], POLICY, /does not name the caller/],
    ["credentials have no way", ["--role-arn", "arn:aws:iam::123456789012:role/a"], POLICY, /without --sts/],
  ])("say that %s", async (_, options, policy, words) => {
    writeFileSync(inFolder("policy.yaml"), stringify(policy));
    expect((await run(...COMPLETE, ...options)).notes).toMatch(words);
  });

  const ASKS = { ...POLICY, approval: APPROVAL };
  test.each<[string, object, RegExp]>([
    ["who is asked is no Service", { cluster: "approvals", authority: "approvals:443" }, /no Service of the cluster/],
    [
      "nothing hands the secret to the guard",
      { ...PLACE, secret_env: "GUARD_SECRET" },
      /secret_env: nothing hands the variable/,
    ],
  ])("say that %s", async (_, service, words) => {
    writeFileSync(inFolder("policy.yaml"), stringify({ ...ASKS, approval: { ...APPROVAL, service } }));
    expect((await run(...COMPLETE)).notes).toMatch(words);
  });

  const without = (...names: string[]): string[] =>
    TOKEN_OPTIONS.filter((_, index) => !names.includes(TOKEN_OPTIONS[index - (index % 2)] ?? ""));
  test.each<[string, string[], RegExp]>([
    ["tokens of an issuer name nobody", without("--issuer", "--audience"), /no --issuer for https:\/\/partners\.other/],
    [
      "an issuer is none of the policy's",
      [...TOKEN_OPTIONS, "--issuer", "https://third.other=https://third.other/jwks"],
      /--issuer https:\/\/third\.other: identity\.jwt does not have it/,
    ],
    ["nothing hands the client's secret to the guard", without("--secret"), /nothing hands CLIENT_PASS to the filter/],
    ["the gateway has a part in it", TOKEN_OPTIONS, /^note: the gateway has to leave the token[^\n]*\n$/],
  ])("say that %s", async (_, options, words) => {
    writeFileSync(inFolder("policy.yaml"), stringify(EXCHANGES));
    expect((await run(...COMPLETE, ...options)).notes).toMatch(words);
  });

  test("say that nothing opens the way to a token service that only the policy names", async () => {
    const service = { path: "/token", cluster: "outbound|443||mint.other", authority: "mint.other" };
    writeFileSync(inFolder("policy.yaml"), stringify({ ...EXCHANGES, token_exchange: { ...TOKEN_EXCHANGE, service } }));
    const { notes } = await run(...COMPLETE, "--secret", "CLIENT_PASS=jira-client/pass");
    expect(notes).toMatch(/^note: authorization: exchange without --token-service[^\n]*\n$/);
  });

  test("there are none about a secret that is handed over", async () => {
    const service = { ...PLACE, secret_env: "GUARD_SECRET" };
    writeFileSync(inFolder("policy.yaml"), stringify({ ...ASKS, approval: { ...APPROVAL, service } }));
    expect((await run(...COMPLETE, "--secret", "GUARD_SECRET=approval-guard/secret")).notes).toBe("");
  });

  test("there are none about a service that the policy leaves to the command", async () => {
    writeFileSync(inFolder("policy.yaml"), stringify(ASKS));
    expect((await run(...COMPLETE)).notes).toBe("");
  });

  test("say that nothing is there to run", async () => {
    const { notes } = await run();
    expect(notes).toMatch(/neither --registry nor --image-volume/);
    expect(notes).toMatch(/no --server-image/);
  });
});

const build = await findKustomize("the overlays of mcp-guard render, built");

if (build !== undefined) {
  /** The objects of the overlay that the command writes with these options, all of them valid. */
  async function built(...options: string[]): Promise<Manifest[]> {
    await run(...options);
    const manifests = manifestsOf(await build!(inFolder("jira")));
    for (const manifest of manifests) expect(manifestComplaints(manifest), JSON.stringify(manifest)).toEqual([]);
    const policies = manifests.flatMap((manifest) => {
      const place = policyPlace(manifest.kind);
      return place === undefined
        ? []
        : [place.reduce<unknown>((inner, name) => (inner as Record<string, unknown>)[name], manifest)];
    });
    expect(policies.length).toBe(1);
    expect(schemaComplaints(policies[0])).toEqual([]);
    expect(new Filter(MODULE).refusal(JSON.stringify(policies[0]))).toBeUndefined();
    return manifests;
  }

  /** The containers of the Deployment that injection completes. */
  function proxiesOf(manifests: readonly Manifest[]): unknown[] {
    const { template } = theOne(manifests, "Deployment").spec as {
      template: { spec: { containers: { name: string }[] } };
    };
    return template.spec.containers.filter(({ name }) => name === "istio-proxy");
  }

  const ALL = [
    ["--server-image", `other.example/jira@${DIGEST}`],
    ["--port", "9001"],
    ["--path", "/other"],
    ["--principal", "td.example/ns/edge/sa/agents"],
    ["--role-arn", "arn:aws:iam::999999999999:role/jira"],
    ["--sts", "sts.us-east-1.amazonaws.com=10.9.0.2/32"],
    ["--egress", "api.example=192.0.2.0/28,198.51.100.7/32"],
    ["--egress", "files.example=2001:db8::/64"],
    ["--registry", "10.9.0.1/32"],
    ["--collector", "records.telemetry:4399"],
  ].flat();

  describe("the built overlay", () => {
    test.each([
      [[]],
      [["--traffic-extension"]],
      [["--legacy"]],
      [["--modern"]],
      [["--modern", "--traffic-extension"]],
      [["--waypoint"]],
      [["--waypoint", "--legacy", "--traffic-extension"]],
      [["--waypoint", "--modern"]],
    ])("with all values and %j has nothing of the reference's left", async (options) => {
      const manifests = await built(...ALL, ...options);
      const text = JSON.stringify(manifests).replaceAll(
        /kubernetes\.io|gateway\.networking|"trusted_gateways":\["[^"]*"\]/g,
        "",
      );
      expect(text).not.toMatch(
        /github|ai-agents|ai-gateway|"gateway"|internal-registry|8080|4318|observab|otel-|"\/rpc"|search_code|10\.0\.0|eu-west|123456789012/,
      );
      const guard = manifests.find(({ kind }) => policyPlace(kind) !== undefined)!;
      expect(guard.metadata).toEqual({ name: "mcp-tool-guard-jira", namespace: "tools" });
      expect(JSON.stringify(guard)).toContain(`"oci://${GUARD}"`);
      expect(guard.kind).toBe(options.includes("--traffic-extension") ? "TrafficExtension" : "WasmPlugin");
      const policy = (guard.spec.wasm ?? guard.spec) as { pluginConfig: unknown };
      expect(policy.pluginConfig).toEqual({
        ...POLICY,
        audit: {
          ...POLICY.audit,
          otlp: {
            cluster: "outbound|4399||records.telemetry.svc.cluster.local",
            authority: "records.telemetry.svc.cluster.local:4399",
          },
        },
      });
    });

    test("opens what was named", async () => {
      const manifests = await built(...ALL);
      expect(theOne(manifests, "ServiceEntry", "external-api-allowlist-jira").spec.hosts).toEqual([
        "api.example",
        "files.example",
      ]);
      expect(theOne(manifests, "Sidecar").spec.egress).toEqual([
        {
          hosts: [
            "istio-system/*",
            "./api.example",
            "./files.example",
            "./sts.us-east-1.amazonaws.com",
            "telemetry/records.telemetry.svc.cluster.local",
          ],
        },
      ]);
      expect(theOne(manifests, "NetworkPolicy", "mcp-external-jira").spec.egress).toEqual([
        {
          to: ["192.0.2.0/28", "198.51.100.7/32", "2001:db8::/64"].map((cidr) => ({ ipBlock: { cidr } })),
          ports: [{ protocol: "TCP", port: 443 }],
        },
      ]);
      // The port of the registry stands in the image's name.
      expect(theOne(manifests, "NetworkPolicy", "mcp-registry-jira").spec.egress).toEqual([
        { to: [{ ipBlock: { cidr: "10.9.0.1/32" } }], ports: [{ protocol: "TCP", port: 5009 }] },
      ]);
      expect(theOne(manifests, "ServiceAccount").metadata).toMatchObject({ name: "jira-sa", namespace: "tools" });
      expect(theOne(manifests, "Namespace").metadata.name).toBe("tools");
    });

    test("opens nothing that was not named", async () => {
      const manifests = await built();
      expect(manifests.some(({ kind }) => kind === "ServiceEntry")).toBe(false);
      expect(theOne(manifests, "Sidecar").spec.egress).toEqual([{ hosts: ["istio-system/*"] }]);
      const policies = manifests.filter(({ kind }) => kind === "NetworkPolicy");
      expect(policies.map(({ metadata }) => metadata.name).sort()).toEqual([
        "default-deny",
        "mcp-ingress-jira",
        "mcp-platform-jira",
      ]);
      expect(theOne(manifests, "ServiceAccount").metadata).toEqual({ name: "jira-sa", namespace: "tools" });
      // Pinned, and there is no such image: the pod waits instead of running something else.
      expect(JSON.stringify(theOne(manifests, "Deployment").spec)).toContain(`@sha256:${"0".repeat(64)}"`);
    });

    test("has the policy's members and none of the base's", async () => {
      const policy = { tool_allowlist: ["only"], mode: "monitor" };
      writeFileSync(inFolder("policy.yaml"), stringify(policy));
      expect(theOne(await built(), "WasmPlugin").spec.pluginConfig).toEqual(policy);
    });

    describe("of a policy that asks for approvals", () => {
      /** Who is let in by whom, with its ports, in the namespace of the service and on the way to it. */
      const opened = (manifests: readonly Manifest[]) => {
        const own = manifests.filter(({ metadata }) => metadata.name.startsWith("mcp-approval"));
        return Object.fromEntries(
          own.map(({ kind, metadata, spec }) => [`${kind} ${metadata.namespace}/${metadata.name}`, spec]),
        );
      };
      const asking = (service?: object): void =>
        writeFileSync(
          inFolder("policy.yaml"),
          stringify({ ...POLICY, approval: { ...APPROVAL, ...(service === undefined ? {} : { service }) } }),
        );

      test.each([
        ["where deploy/istio puts it", undefined, "approval", "approval", 8081],
        ["elsewhere", PLACE, "elsewhere", "asked", 8443],
      ])("opens the way to the service %s, at both ends", async (_, service, namespace, name, port) => {
        asking(service);
        const manifests = await built("--principal", "td.example/ns/edge/sa/agents", "--service-account", "acting");
        const host = `${name}.${namespace}.svc.cluster.local`;
        const guard = theOne(manifests, "WasmPlugin").spec.pluginConfig as { approval: object };
        expect(guard.approval).toEqual({
          ...APPROVAL,
          server: "jira",
          service: { ...service, cluster: `outbound|${port}||${host}`, authority: `${host}:${port}` },
        });
        expect(theOne(manifests, "Sidecar").spec.egress).toEqual([
          { hosts: ["istio-system/*", `${namespace}/${host}`] },
        ]);
        const pods = (of: string, app: string) => ({
          namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": of } },
          podSelector: { matchLabels: { app } },
        });
        const ports = [{ protocol: "TCP", port }];
        expect(opened(manifests)).toEqual({
          "NetworkPolicy tools/mcp-approval-jira": {
            podSelector: { matchLabels: { app: "jira" } },
            policyTypes: ["Egress"],
            egress: [{ to: [pods(namespace, name)], ports }],
          },
          [`NetworkPolicy ${namespace}/mcp-approval-guard-jira.tools`]: {
            podSelector: { matchLabels: { app: name } },
            policyTypes: ["Ingress"],
            ingress: [{ from: [pods("tools", "jira")], ports }],
          },
          [`AuthorizationPolicy ${namespace}/mcp-approval-guard-jira.tools`]: {
            selector: { matchLabels: { app: name } },
            action: "ALLOW",
            rules: [
              {
                from: [{ source: { principals: ["td.example/ns/tools/sa/acting"] } }],
                to: [
                  {
                    operation: {
                      ports: [String(port)],
                      methods: ["POST"],
                      paths: ["open", "poll", "claim"].map((call) => `${service?.path ?? "/v1"}/${call}`),
                    },
                  },
                ],
              },
            ],
          },
        });
      });

      test.each([[[]], [["--traffic-extension"]]])("opens it for the waypoint with --waypoint and %j", async (more) => {
        asking();
        const manifests = await built("--waypoint", ...more);
        const own = opened(manifests);
        expect(JSON.stringify(own["AuthorizationPolicy approval/mcp-approval-guard-jira.tools"])).toContain(
          '"principals":["cluster.local/ns/tools/sa/mcp-waypoint"]',
        );
        const label = '"podSelector":{"matchLabels":{"gateway.networking.k8s.io/gateway-name":"mcp-waypoint"}}';
        expect(JSON.stringify(own["NetworkPolicy approval/mcp-approval-guard-jira.tools"])).toContain(label);
        expect(JSON.stringify(own["NetworkPolicy tools/mcp-approval-jira"])).toContain(label);
      });

      test("is one that mcp-guard check finds nothing wrong with", async () => {
        asking();
        await built("--registry", "10.9.0.1/32", "--server-image", `other.example/jira@${DIGEST}`);
        const overlay = await build!(inFolder("jira"));
        const service = readFileSync(projectPath("deploy", "istio", "rendered", "approval-service.yaml"), "utf8");
        const report = await examine({ "jira.yaml": overlay, "service.yaml": service }, ["role", "mesh-config"]);
        const about = ({ questions }: { questions: readonly string[] }) => questions.includes("approval");
        expect(report.findings.filter(({ rule }) => about(rule)).map(({ rule, found }) => [rule.id, found])).toEqual(
          [],
        );
        expect(report.servers.map(({ answers }) => answers.approval.verdict)).toEqual(["yes"]);
      });

      test("opens nothing for a service that is none of the cluster", async () => {
        asking({ cluster: "approvals", authority: "approvals.example:443" });
        const manifests = await built();
        expect(opened(manifests)).toEqual({});
        expect(theOne(manifests, "Sidecar").spec.egress).toEqual([{ hosts: ["istio-system/*"] }]);
      });
    });

    describe("of a policy that exchanges tokens", () => {
      beforeEach(() => writeFileSync(inFolder("policy.yaml"), stringify(EXCHANGES)));

      test.each([
        [[]],
        [["--traffic-extension"]],
        [["--image-volume"]],
        [["--legacy", "--collector", "records.telemetry:4399"]],
      ])(
        "with %j opens the way to the token service and to nothing else, and has the secret by reference",
        async (more) => {
          const manifests = await built(...TOKEN_OPTIONS, ...more);
          const hosts = (theOne(manifests, "Sidecar").spec.egress as { hosts: string[] }[]).flatMap(
            ({ hosts }) => hosts,
          );
          expect(hosts).toEqual([
            "istio-system/*",
            "./mint.other",
            ...(more.includes("--collector") ? ["telemetry/records.telemetry.svc.cluster.local"] : []),
          ]);
          expect(theOne(manifests, "ServiceEntry", "mcp-token-service-jira").spec.hosts).toEqual(["mint.other"]);
          expect(theOne(manifests, "DestinationRule", "mcp-token-service-jira").spec).toEqual({
            host: "mint.other",
            exportTo: ["."],
            trafficPolicy: {
              tls: { mode: "SIMPLE", sni: "mint.other", subjectAltNames: ["mint.other"], caCertificates: "system" },
            },
          });
          expect(theOne(manifests, "NetworkPolicy", "mcp-token-service-jira").spec).toEqual({
            podSelector: { matchLabels: { app: "jira" } },
            policyTypes: ["Egress"],
            egress: [
              {
                to: ["198.51.100.8/32", "198.51.100.9/32"].map((cidr) => ({ ipBlock: { cidr } })),
                ports: [{ protocol: "TCP", port: 443 }],
              },
            ],
          });
          const rule = {
            audiences: ["agents"],
            fromHeaders: [{ name: "Authorization", prefix: "Bearer " }],
            forwardOriginalToken: true,
          };
          expect(theOne(manifests, "RequestAuthentication", "mcp-callers-jira").spec).toEqual({
            selector: { matchLabels: { app: "jira" } },
            jwtRules: [
              { ...rule, issuer: "https://people.other", jwksUri: "https://people.other/jwks" },
              { ...rule, issuer: "https://partners.other", jwksUri: "https://keys.partners.other/set" },
            ],
          });
          const guard = manifests.find(({ kind }) => policyPlace(kind) !== undefined)!;
          expect(guard.spec.wasm ?? guard.spec).toMatchObject({
            vmConfig: { env: [{ name: "CLIENT_PASS", valueFrom: "HOST" }] },
            pluginConfig: {
              ...EXCHANGES,
              audit: expect.any(Object),
              token_exchange: {
                ...TOKEN_EXCHANGE,
                service: { path: "/token", cluster: "outbound|443||mint.other", authority: "mint.other" },
              },
            },
          });
          expect(proxiesOf(manifests)).toEqual([
            {
              name: "istio-proxy",
              image: "auto",
              env: [{ name: "CLIENT_PASS", valueFrom: { secretKeyRef: { name: "jira-client", key: "pass" } } }],
            },
          ]);
          expect(JSON.stringify(manifests)).not.toMatch(
            /idp\.example|mcp-gateway|192\.0\.2\.20|MCP_GUARD|merge_pull|"none"/,
          );
        },
      );

      test("has no RequestAuthentication when no issuer is named, and no variable without a secret", async () => {
        const manifests = await built("--token-service", "mint.other=198.51.100.8/32");
        expect(manifests.some(({ kind }) => kind === "RequestAuthentication")).toBe(false);
        expect(theOne(manifests, "WasmPlugin").spec.vmConfig).toEqual({ env: [] });
        expect(proxiesOf(manifests)).toEqual([{ name: "istio-proxy", image: "auto", env: [] }]);
      });

      test("is one that mcp-guard check finds nothing wrong with", async () => {
        await built(...TOKEN_OPTIONS, "--registry", "10.9.0.1/32", "--server-image", `other.example/jira@${DIGEST}`);
        const overlay = await build!(inFolder("jira"));
        const report = await examine({ "jira.yaml": overlay }, ["role", "mesh-config"]);
        expect(report.findings.map(({ rule, found }) => [rule.id, found])).toEqual([]);
      });
    });

    test("a secret for the approval service comes by reference too, without anything about tokens", async () => {
      const service = { ...PLACE, secret_env: "GUARD_SECRET" };
      writeFileSync(inFolder("policy.yaml"), stringify({ ...POLICY, approval: { ...APPROVAL, service } }));
      const manifests = await built("--secret", "GUARD_SECRET=approval-guard/secret");
      expect(theOne(manifests, "WasmPlugin").spec.vmConfig).toEqual({
        env: [{ name: "GUARD_SECRET", valueFrom: "HOST" }],
      });
      const secretKeyRef = { name: "approval-guard", key: "secret" };
      expect(proxiesOf(manifests)).toEqual([
        { name: "istio-proxy", image: "auto", env: [{ name: "GUARD_SECRET", valueFrom: { secretKeyRef } }] },
      ]);
      expect(manifests.some(({ metadata }) => metadata.name.startsWith("mcp-token-service"))).toBe(false);
    });

    test("denies by headers what is not on this policy's list", async () => {
      const { rules } = theOne(await built("--modern"), "AuthorizationPolicy", "mcp-tool-headers-jira").spec as {
        rules: { when: { notValues?: string[] }[] }[];
      };
      expect(rules[1]?.when[1]?.notValues).toEqual(POLICY.tool_allowlist);
    });

    // Words and numbers that YAML takes for something else, unless they stand between quotation marks.
    test.each([
      ["true", "off"],
      ["null", "1e3"],
      ["yes", "0x1f"],
      ["n", "1-1"],
      ["e10", "0"],
    ])("keeps the names %s and %s texts, and those of the policy", async (server, namespace) => {
      const policy = {
        tool_allowlist: ["on", "1e3", "0o7", "12:30:45", "~", "null", "2001-01-01", "a: b", "- c", "<<", "="],
      };
      writeFileSync(inFolder("policy.yaml"), JSON.stringify(policy));
      const manifests = await built("--server", server, "--namespace", namespace, "--image-volume");
      expect(theOne(manifests, "Deployment").metadata).toEqual({ name: server, namespace, labels: { app: server } });
      expect(theOne(manifests, "Namespace").metadata.name).toBe(namespace);
      expect(theOne(manifests, "WasmPlugin").spec.selector).toEqual({ matchLabels: { app: server } });
      expect(theOne(manifests, "WasmPlugin").spec.pluginConfig).toEqual(policy);
    });
  });
}
