// The way to a token service in Istio's own hands. Goal: the guard's proxy has a cluster for it that speaks TLS to that host and to no other, leaves the
// callers' tokens in the requests for the guard, and takes them from nowhere but the header. Method: istiod's code makes the configuration of
// deploy/istio; each manifest that is changed is seen to change it.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { goTool } from "./go-tools.ts";
import { visit } from "./pilot/adaptations.ts";
import { type Configuration, generate, type Message } from "./pilot/istiod.ts";
import { type Change, changed, overlay } from "./pilot/manifests.ts";
import { SERVER, surroundings } from "./pilot/sidecar.ts";

// Built before the tests, which have time limits.
await goTool("istio");

const CLUSTER = "outbound|443||idp.example";
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), "mcp-guard-tokens-"));
});

afterAll(() => rmSync(folder, { recursive: true }));

/** What the server's proxy gets, without the guard itself. */
function generated(...changes: Change[]): Promise<Configuration> {
  const manifests = [...changed(overlay("on-behalf-of"), changes), ...surroundings()];
  return generate({
    manifests: manifests.filter(({ kind }) => kind !== "WasmPlugin"),
    proxy: SERVER,
    firstAddress: "10.244.0.10",
    folder,
  });
}

const clusterOf = ({ clusters }: Configuration): Message | undefined => clusters.find(({ name }) => name === CLUSTER);

/** The providers of tokens that the inbound listener knows. */
function providersOf({ listeners }: Configuration): Message[] {
  const found = new Map<string, Message>();
  visit(
    listeners.filter(({ name }) => name === "virtualInbound"),
    (message) => {
      for (const [name, provider] of Object.entries<Message>(message.providers ?? {})) found.set(name, provider);
    },
  );
  return [...found.values()];
}

describe("the token service is a cluster", () => {
  test("that speaks TLS to the host, and looks at its certificate", async () => {
    const cluster = clusterOf(await generated());
    const tls =
      cluster?.transport_socket?.typed_config ?? cluster?.transport_socket_matches?.[0]?.transport_socket?.typed_config;
    expect(tls?.sni).toBe("idp.example");
    const validation = tls?.common_tls_context?.combined_validation_context;
    expect(JSON.stringify(validation?.default_validation_context)).toContain('"exact":"idp.example"');
    expect(validation?.validation_context_sds_secret_config?.name).toMatch(/system/);
  });

  test("in plain text without the DestinationRule", async () => {
    const plain = await generated({
      kind: "DestinationRule",
      name: "mcp-token-service",
      edit: ({ spec }) => {
        spec.host = "elsewhere.example";
      },
    });
    expect(clusterOf(plain)).toBeDefined();
    expect(JSON.stringify(clusterOf(plain))).not.toContain("UpstreamTlsContext");
  });

  test("of the proxy that may see it alone", async () => {
    const hidden = await generated({
      kind: "Sidecar",
      name: "mcp-egress-lockdown",
      edit: ({ spec }) => {
        spec.egress[0].hosts = spec.egress[0].hosts.filter((host: string) => host !== "./idp.example");
      },
    });
    expect(clusterOf(hidden)).toBeUndefined();
  });
});

describe("a caller's token", () => {
  const EXPECTED = {
    issuer: "https://idp.example",
    audiences: ["mcp-gateway"],
    forward: true,
    from_headers: [{ name: "Authorization", value_prefix: "Bearer " }],
  };

  test("is validated for the gateway's audience, taken from the header alone, and stays in the request", async () => {
    const providers = providersOf(await generated());
    expect(providers).toEqual([expect.objectContaining(EXPECTED)]);
    expect(providers[0]).not.toHaveProperty("from_params");
  });

  test("is taken out of the request without forwardOriginalToken", async () => {
    const providers = providersOf(
      await generated({
        kind: "RequestAuthentication",
        name: "mcp-callers",
        edit: ({ spec }) => {
          delete spec.jwtRules[0].forwardOriginalToken;
        },
      }),
    );
    expect(providers.map(({ forward }) => forward ?? false)).toEqual([false]);
  });
});
