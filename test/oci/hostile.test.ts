// Registries that are in trouble, or that mean no good. Goal: what may get better is tried again, a few times; credentials
// go to nobody but the registry and its token server; nothing that a registry says is believed without its digest. Method:
// a server that is told what to answer, since no real registry can be made to.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Access } from "../../src/oci/authorization.ts";
import { digestOf } from "../../src/oci/digest.ts";
import type { Blob } from "../../src/oci/image.ts";
import { readModule } from "../../src/oci/pull.ts";
import { parseRepository } from "../../src/oci/reference.ts";
import { Registry } from "../../src/oci/registry.ts";
import { runCommand } from "./command.ts";
import {
  type ScriptedAnswer,
  type ScriptedRegistry,
  type SeenRequest,
  startScriptedRegistry,
} from "./scripted-registry.ts";

const OK: ScriptedAnswer = { status: 200 };
const BYTES = Buffer.alloc(200_000, "x");
const BLOB: Blob = { mediaType: "application/octet-stream", digest: digestOf(BYTES), size: BYTES.length, bytes: BYTES };

let started: ScriptedRegistry[] = [];
let clients: Registry[] = [];
let said: string[] = [];
let home: string;

beforeEach(() => {
  home = mkdtempSync(path.join(tmpdir(), "mcp-guard-home-"));
  said = [];
});

afterEach(async () => {
  await Promise.all([...clients.map((client) => client.close()), ...started.map((server) => server.stop())]);
  clients = [];
  started = [];
  rmSync(home, { recursive: true });
});

async function serve(script: (request: SeenRequest, index: number) => ScriptedAnswer): Promise<ScriptedRegistry> {
  const server = await startScriptedRegistry(script);
  started.push(server);
  return server;
}

function connect(
  host: string,
  options: { access?: Access; env?: NodeJS.ProcessEnv; plainHttp?: boolean } = {},
): Registry {
  const registry = new Registry(parseRepository(`${host}/a/b`), {
    access: options.access ?? "pull,push",
    env: { HOME: home, ...options.env },
    plainHttp: options.plainHttp,
    signal: new AbortController().signal,
    say: (line) => said.push(line),
    firstDelayMs: 1,
  });
  clients.push(registry);
  return registry;
}

const CREDENTIALS = { OCI_USERNAME: "me", OCI_PASSWORD: "secret" };
const BASIC = `Basic ${Buffer.from("me:secret").toString("base64")}`;
const unauthorized = (challenge: string): ScriptedAnswer => ({
  status: 401,
  headers: { "www-authenticate": challenge },
});

test.each([
  ["a media type", { status: 200, headers: { "content-type": "application/vnd.oci.image.manifest.v1+json" } }],
  ["a challenge", unauthorized('Bearer realm="x\u009b2J"')],
  ["an error", { status: 400, body: "\u001b[2Jx\u009b2J\u202e" }],
])("no terminal obeys %s", async (_, answer) => {
  const mediaType = "x\u001b[2J\u009b31m\u202e\u0007";
  const layer = { mediaType, digest: BLOB.digest, size: 1 };
  const body = JSON.stringify({ schemaVersion: 2, config: layer, layers: [layer] });
  const { host } = await serve(({ target }) => (target.includes("manifests") ? { body, ...answer } : answer));
  const { status, out, err } = await runCommand(["oci-verify", "--repo", `${host}/a/b`, "--tag", "v1"], { HOME: home });
  expect(status).toBe(1);
  expect(err).toContain("mcp-guard oci-verify: ");
  expect(out + err).not.toMatch(/(?!\n)[\p{Cc}\p{Cf}]/u);
});

describe("trying again", () => {
  test.each([408, 429, 500, 502, 503, 504])("after %i", async (status) => {
    const { host, seen } = await serve((_, index) => (index < 2 ? { status } : OK));
    await connect(host).ping();
    expect(seen.length).toBe(3);
    expect(said).toEqual([expect.stringContaining("attempt 2 of 5"), expect.stringContaining("attempt 3 of 5")]);
  });

  test("after a connection that ends without an answer", async () => {
    const { host, seen } = await serve((_, index) => (index < 2 ? { ...OK, hangUp: true } : OK));
    await connect(host).ping();
    expect(seen.length).toBe(3);
  });

  test("ends after five attempts, with the registry's words", async () => {
    const body = JSON.stringify({
      errors: [{ code: "UNKNOWN", message: "unknown error", detail: "no space\u001b[31m left\n" }],
    });
    const { host, seen } = await serve(() => ({ status: 500, body }));
    await expect(connect(host).ping()).rejects.toMatchObject({
      code: "ERR_REGISTRY",
      message: `${host}: the request was answered with 500: UNKNOWN unknown error no space [31m left`,
    });
    expect(seen.length).toBe(5);
  });

  test.each([400, 404, 405, 409, 413, 501])("is of no use after %i", async (status) => {
    const { host, seen } = await serve(() => ({ status, body: "why" }));
    await expect(connect(host).ping()).rejects.toThrow(`answered with ${status}: why`);
    expect(seen.length).toBe(1);
  });

  test("waits as long as the registry asks, within reason", async () => {
    const { host } = await serve((_, index) => (index < 1 ? { status: 429, headers: { "retry-after": "1" } } : OK));
    const start = performance.now();
    await connect(host).ping();
    expect(performance.now() - start).toBeGreaterThan(900);
    expect(said).toEqual([expect.stringContaining("in 1.0 s")]);
    const patient = await serve(() => ({ status: 429, headers: { "retry-after": "86400" } }));
    await expect(connect(patient.host).ping()).rejects.toThrow("429");
    expect(patient.seen.length).toBe(1);
  });

  test("ends when the user does not want to wait", async () => {
    const end = new AbortController();
    const { host, seen } = await serve(() => ({ status: 503 }));
    const registry = new Registry(parseRepository(`${host}/a/b`), {
      access: "pull",
      env: { HOME: home },
      signal: end.signal,
      say: () => end.abort(),
      firstDelayMs: 60_000,
    });
    clients.push(registry);
    await expect(registry.ping()).rejects.toThrow("abort");
    expect(seen.length).toBe(1);
  });
});

describe("an upload that broke", () => {
  const accepted = (location: string, headers: object = {}) => ({ status: 202, headers: { location, ...headers } });

  /** Lets the first PUT break, then answers what is given for the question how much has arrived, then takes everything. */
  async function broken(progress: ScriptedAnswer): Promise<SeenRequest[]> {
    let puts = 0;
    const { host, seen } = await serve(({ method, target }) => {
      if (method === "POST") return accepted("/v2/a/b/blobs/uploads/session?state=A%2FB");
      if (method === "GET") return progress;
      expect(target).toContain("&digest=sha256%3A");
      puts++;
      return puts === 1 ? { ...OK, hangUp: true } : { status: 201 };
    });
    await connect(host).upload(BLOB);
    return [...seen];
  }

  test("goes on where the registry says", async () => {
    const seen = await broken({
      status: 204,
      headers: { range: "0-149999", location: "/v2/a/b/blobs/uploads/session?state=C" },
    });
    expect(seen.map(({ method, target }) => `${method} ${target.split("&")[0]}`)).toEqual([
      "POST /v2/a/b/blobs/uploads/",
      "PUT /v2/a/b/blobs/uploads/session?state=A%2FB",
      "GET /v2/a/b/blobs/uploads/session?state=A%2FB",
      "PUT /v2/a/b/blobs/uploads/session?state=C",
    ]);
    expect(seen[3]?.headers["content-range"]).toBe("150000-199999");
    expect(seen[3]?.body.length).toBe(50_000);
  });

  test.each<[string, ScriptedAnswer]>([
    ["has forgotten it", { status: 404 }],
    ["has none of it", { status: 204, headers: { range: "0-0" } }],
    ["does not say how much", { status: 204 }],
    ["does not know the question", { status: 405 }],
    ["answers something else", { status: 204, headers: { range: "5-9" } }],
  ])("begins anew when the registry %s", async (_, progress) => {
    const seen = await broken(progress);
    expect(seen.map(({ method }) => method)).toEqual(["POST", "PUT", "GET", "POST", "PUT"]);
    expect(seen[4]?.headers["content-range"]).toBeUndefined();
    expect(seen[4]?.body.equals(BYTES)).toBe(true);
  });

  test.each([400, 404, 416])("begins anew when what is resumed does not fit together (%i)", async (status) => {
    let puts = 0;
    const { host, seen } = await serve(({ method }) => {
      if (method === "POST") return accepted("/v2/a/b/blobs/uploads/s");
      if (method === "GET") return { status: 204, headers: { range: "0-99" } };
      puts++;
      return [{ ...OK, hangUp: true }, { status }, { status: 201 }][puts - 1] ?? OK;
    });
    await connect(host).upload(BLOB);
    expect(seen.map(({ method }) => method)).toEqual(["POST", "PUT", "GET", "PUT", "POST", "PUT"]);
  });

  test("is given up when the registry does not want the blob", async () => {
    const { host, seen } = await serve(({ method }) =>
      method === "POST" ? accepted("/v2/s") : { status: 400, body: "no" },
    );
    await expect(connect(host).upload(BLOB)).rejects.toThrow("uploading the blob");
    expect(seen.length).toBe(2);
  });

  test.each([
    ["no address", {}],
    ["an address that is none", { location: "http://[" }],
  ])("is given up when the registry gives %s", async (_, headers) => {
    const { host } = await serve(() => ({ status: 202, headers }));
    await expect(connect(host).upload(BLOB)).rejects.toThrow("no usable Location");
  });
});

describe("credentials", () => {
  test("are not sent unless they are asked for", async () => {
    const { host, seen } = await serve(() => OK);
    await connect(host, { env: CREDENTIALS }).ping();
    expect(seen[0]?.headers.authorization).toBeUndefined();
  });

  test("go to the registry, and not where it sends an upload or a reader", async () => {
    const elsewhere = await serve(({ method }) => (method === "PUT" ? { status: 201 } : { ...OK, body: BYTES }));
    const { host } = await serve(({ method, headers }) => {
      if (headers.authorization === undefined) return unauthorized('Basic realm="r"');
      if (method === "POST") return { status: 202, headers: { location: `http://${elsewhere.host}/upload` } };
      return { status: 307, headers: { location: `http://${elsewhere.host}/blob` } };
    });
    const registry = connect(host, { env: CREDENTIALS });
    await registry.upload(BLOB);
    expect(await registry.blob(BLOB)).toEqual(BYTES);
    expect(elsewhere.seen.map(({ method }) => method)).toEqual(["PUT", "GET"]);
    expect(elsewhere.seen.map(({ headers }) => headers.authorization)).toEqual([undefined, undefined]);
  });

  test("go to the token server for what is wanted, and the token to the registry", async () => {
    const tokens = await serve(() => ({ ...OK, body: JSON.stringify({ access_token: "t0k" }) }));
    const { host, seen } = await serve(({ headers }) =>
      headers.authorization === undefined
        ? unauthorized(`Bearer realm="http://${tokens.host}/token?x=1",service="svc",scope="repository:other:pull"`)
        : OK,
    );
    await connect(host, { env: CREDENTIALS }).ping();
    const target = new URL(tokens.seen[0]?.target ?? "", "http://x");
    expect(Object.fromEntries(target.searchParams)).toEqual({
      x: "1",
      service: "svc",
      scope: "repository:a/b:pull,push",
      account: "me",
    });
    expect(tokens.seen[0]?.headers.authorization).toBe(BASIC);
    expect(seen.at(-1)?.headers.authorization).toBe("Bearer t0k");
  });

  test("are shown again when a token has run out", async () => {
    let issued = 0;
    const tokens = await serve(() => ({ ...OK, body: JSON.stringify({ token: `t${++issued}` }) }));
    const { host } = await serve(({ headers }, index) =>
      headers.authorization === `Bearer t${index < 3 ? 1 : 2}`
        ? OK
        : unauthorized(`Bearer realm="http://${tokens.host}/"`),
    );
    const registry = connect(host, { env: CREDENTIALS });
    for (let i = 0; i < 3; i++) await registry.ping();
    expect(issued).toBe(2);
  });

  test.each([
    [
      "a token server without TLS on another machine",
      'Bearer realm="http://auth.example/token"',
      "is not asked: it is not HTTPS",
    ],
    ["no token server", 'Bearer service="x"', "which is no URL"],
    ["a scheme that is unknown here", "Negotiate", "an authentication that is not known here (negotiate)"],
    ["no challenge", "", "an authentication that is not known here (none)"],
  ])("are not sent to %s", async (_, challenge, words) => {
    const { host } = await serve(() => unauthorized(challenge));
    await expect(connect(host, { env: CREDENTIALS }).ping()).rejects.toMatchObject({
      code: "ERR_CREDENTIALS",
      message: expect.stringContaining(words),
    });
  });

  test.each([
    ["no JSON", "<html>"],
    ["no token", "{}"],
    ["a token with a line break", JSON.stringify({ token: "a\r\nx-y: z" })],
    ["an empty token", JSON.stringify({ token: "" })],
  ])("get no further when the token server answers with %s", async (_, body) => {
    const tokens = await serve(() => ({ ...OK, body }));
    const { host, seen } = await serve(() => unauthorized(`Bearer realm="http://${tokens.host}/"`));
    await expect(connect(host, { env: CREDENTIALS }).ping()).rejects.toThrow("answered without a token");
    expect(seen.length).toBe(1);
  });

  test("that a registry knows and does not let are told apart from wrong ones", async () => {
    const denied = await serve(({ headers }) =>
      headers.authorization === undefined
        ? unauthorized("Basic")
        : { status: 403, body: JSON.stringify({ errors: [{ code: "DENIED", message: "read only" }] }) },
    );
    await expect(connect(denied.host, { env: CREDENTIALS }).ping()).rejects.toThrow(
      'user "me" may not write to a/b: DENIED read only',
    );
    const wrong = await serve(() => unauthorized("Basic"));
    await expect(connect(wrong.host, { env: CREDENTIALS }).ping()).rejects.toThrow(
      'the registry refused user "me" (from OCI_USERNAME and OCI_PASSWORD)',
    );
  });

  test("never stand in an error or a line", async () => {
    const { host } = await serve(({ headers }) =>
      headers.authorization ? { status: 500, body: "x" } : unauthorized("Basic"),
    );
    const error = await connect(host, { env: CREDENTIALS })
      .ping()
      .catch((thrown: unknown) => thrown);
    expect(`${String(error)}${said.join()}`).not.toMatch(/secret|bWU6c2VjcmV0/);
  });
});

describe("what a registry keeps", () => {
  test.each<[string, Buffer, string]>([
    ["other bytes of a blob", Buffer.alloc(BYTES.length, "y"), "has the digest"],
    ["more than the blob", Buffer.concat([BYTES, BYTES]), "answered with more than 200000 bytes"],
    ["less than the blob", BYTES.subarray(1), "has the digest"],
  ])("is refused when it is %s", async (_, body, words) => {
    const { host } = await serve(() => ({ ...OK, body }));
    await expect(connect(host).blob(BLOB)).rejects.toThrow(words);
  });

  test("is refused when a manifest is not what its digest says", async () => {
    const { host } = await serve(() => ({ ...OK, body: "{}" }));
    await expect(connect(host).manifest(digestOf(Buffer.from("x")))).rejects.toThrow("has the digest");
  });

  test("is refused when a manifest is larger than any may be", async () => {
    const { host } = await serve(() => ({ ...OK, body: Buffer.alloc((4 << 20) + 1) }));
    await expect(connect(host).manifest("v1")).rejects.toThrow("more than 4194304 bytes");
  });

  test("is refused when a layer is larger than any loader takes", async () => {
    const { host, seen } = await serve(() => OK);
    await expect(connect(host).blob({ ...BLOB, size: 300 << 20 })).rejects.toThrow("which no loader takes");
    expect(seen.length).toBe(0);
  });

  test("a tag is resolved by content when no header says its digest", async () => {
    const { host } = await serve(({ method }) => (method === "HEAD" ? OK : { ...OK, body: "{}" }));
    expect(await connect(host).resolve("v1")).toBe(digestOf(Buffer.from("{}")));
  });

  test.each([
    ["[]", "the manifest is no JSON object"],
    ["{", "the manifest is no JSON object"],
    ["{}", "no list of layers"],
    ['{"layers":[{}]}', "a descriptor without media type"],
    ['{"layers":[{"mediaType":"x","digest":"sha256:../..","size":1}]}', "a descriptor without media type"],
    [`{"layers":[{"mediaType":"x","digest":"sha256:${"0".repeat(64)}","size":-1}]}`, "a descriptor without media type"],
    ['{"layers":[]}', "0 layers"],
  ])("is no module when the manifest is %s", async (body, words) => {
    const { host } = await serve(() => ({
      ...OK,
      body,
      headers: { "content-type": "application/vnd.oci.image.manifest.v1+json" },
    }));
    await expect(readModule(connect(host), "v1")).rejects.toMatchObject({
      code: "ERR_NOT_LOADABLE",
      message: expect.stringContaining(words),
    });
  });

  test("leads nowhere when it redirects for ever", async () => {
    const { host, seen } = await serve(({ target }) => ({ status: 307, headers: { location: target } }));
    await expect(connect(host).blob(BLOB)).rejects.toThrow();
    expect(seen.length).toBeLessThan(10);
  });
});
