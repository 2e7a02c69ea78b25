// Istio's own code over what is pushed and what is deployed. Goal: the images that make oci-push makes are loaded, what our
// reader says about an image is what Istio does with it, and the manifests are taken. Method: Istio's packages, built from
// test/mesh/istio, against real registries; images of other tools beside ours; each check is seen to refuse something.
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { engineUp } from "../../src/envoy/engine.ts";
import { digestOf } from "../../src/oci/digest.ts";
import { packLayer } from "../../src/oci/layer.ts";
import { parseRepository } from "../../src/oci/reference.ts";
import { Registry as Client } from "../../src/oci/registry.ts";
import { projectPath } from "../../src/project.ts";
import { isRegistryAvailable } from "../oci/available.ts";
import { runCommand } from "../oci/command.ts";
import { type MemoryRegistry, startCraneRegistry } from "../oci/crane-registry.ts";
import { type Registry, startRegistry } from "../oci/registry.ts";
import { SHAPES, MODULE as SMALLEST } from "../oci/shapes.ts";
import { startTokenServer } from "../oci/token-server.ts";
import { goTool, istioCrds } from "./go-tools.ts";

const run = promisify(execFile);
const MODULE = readFileSync(projectPath("build", "plugin.wasm"));
const hex = (digest: string): string => digest.replace("sha256:", "");
const pinned = (out: string): string => /^url: (oci:\/\/\S+@sha256:\w+)$/m.exec(out)?.[1] ?? "no url";

// Built before the tests, which have time limits.
const istio = await goTool("istio");
const crane = await goTool("crane");
const oras = await goTool("oras");
const cosign = await goTool("cosign");
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), "mcp-guard-mesh-"));
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** What Istio's fetcher says: the hash of the module that it has loaded, or its error. */
async function fetchModule(url: string, ...options: string[]): Promise<{ sha256: string } | { refused: string }> {
  try {
    const out = path.join(folder, "fetched.wasm");
    const { stdout } = await run(istio, ["fetch", "-url", url, "-out", out, ...options]);
    const { sha256 } = JSON.parse(stdout) as { sha256: string };
    expect(hex(digestOf(readFileSync(out)))).toBe(sha256);
    return { sha256 };
  } catch (error) {
    // Status 1 is Istio's own refusal, anything else a fault of the test.
    if (error instanceof Error && "code" in error && error.code === 1 && "stderr" in error) {
      return { refused: String(error.stderr) };
    }
    throw error;
  }
}

const loaded = { sha256: hex(digestOf(MODULE)) };
const refused = (words: string) => ({ refused: expect.stringContaining(words) });

function client(host: string, name: string): Client {
  return new Client(parseRepository(`${host}/${name}`), {
    access: "pull,push",
    env: { HOME: "/nonexistent" },
    signal: new AbortController().signal,
    say: () => {},
  });
}

if (await isRegistryAvailable()) {
  describe("Istio's fetcher", () => {
    let registry: Registry;

    beforeAll(async () => {
      registry = await startRegistry();
    });

    afterAll(() => registry.stop());

    test.each(["image", "artifact"])("loads what make oci-push makes, as %s, by tag and by digest", async (shape) => {
      const repository = `${registry.host}/ours/${shape}`;
      const { out } = await runCommand(["oci-push", "--repo", repository, "--tag", "v1", "--shape", shape]);
      const url = pinned(out);
      const digest = hex(url.slice(url.indexOf("@") + 1));
      expect(await fetchModule(`oci://${repository}:v1`)).toEqual(loaded);
      expect(await fetchModule(url)).toEqual(loaded);
      expect(await fetchModule(`oci://${repository}:v1`, "-sha256", digest)).toEqual(loaded);
      expect(await fetchModule(`oci://${repository}:v1@sha256:${digest}`)).toEqual(loaded);
      // The mistakes that people make: the hash of the module, and a digest that is not there.
      expect(await fetchModule(`oci://${repository}:v1`, "-sha256", hex(digestOf(MODULE)))).toEqual(
        refused("does not match"),
      );
      expect(await fetchModule(`oci://${repository}@${digestOf(MODULE)}`)).toEqual(refused("could not fetch manifest"));
    });

    test.each(SHAPES.map((row, index) => [row.loads ? "loads" : "refuses", row.name, row, `row-${index}`] as const))(
      "%s %s, as our reader does",
      async (_verdict, _name, row, tag) => {
        const writer = client(registry.host, "shapes");
        const reference = await row.push(writer, tag);
        await writer.close();
        const separator = reference.startsWith("sha256:") ? "@" : ":";
        const answer = await fetchModule(`oci://${registry.host}/shapes${separator}${reference}`);
        expect(answer).toEqual(row.loads ? { sha256: hex(digestOf(SMALLEST)) } : refused(""));
      },
    );

    describe("with a password", () => {
      const htpasswd = readFileSync(projectPath("test", "fixtures", "oci", "htpasswd"), "utf8");
      const credentials = { OCI_USERNAME: "pusher", OCI_PASSWORD: "correct horse" };

      /** Pushes to a registry whose challenge names this realm, and has Istio fetch with the pull secret. */
      async function fetchFrom(realm: string | undefined): Promise<unknown> {
        const locked = await startRegistry({ auth: { htpasswd, ...(realm !== undefined && { realm }) } });
        try {
          const { out } = await runCommand(["oci-push", "--repo", `${locked.host}/a/b`, "--tag", "v1"], credentials);
          const auth = Buffer.from("pusher:correct horse").toString("base64");
          const secret = path.join(folder, "secret.json");
          writeFileSync(secret, JSON.stringify({ auths: { [locked.host]: { auth } } }));
          return await fetchModule(pinned(out), "-pull-secret", secret);
        } finally {
          await locked.stop();
        }
      }

      // Istio takes every realm for the address of a token server, those of Basic challenges too (docs/deploy.md).
      test("a realm that is the URL of a public host is taken", async () => {
        expect(await fetchFrom("https://registry.example/")).toEqual(loaded);
      });

      test("the usual realm is refused by Istio", async () => {
        expect(await fetchFrom(undefined)).toEqual(refused("rejected unsafe bearer realm"));
      });
    });

    // Istio asks no token server whose address is a loopback one, but one whose name leads there.
    test("gets a token for a pull secret", async () => {
      const fixture = (name: string) => readFileSync(projectPath("test", "fixtures", "oci", name), "utf8");
      const names = { issuer: "test", service: "registry.test" };
      const users = { pusher: { password: "correct horse" } };
      const certificate = fixture("localhost.crt");
      const signing = { key: fixture("localhost.key"), certificate };
      const tokens = await startTokenServer({ ...names, ...signing, users, host: hostname() });
      const locked = await startRegistry({
        auth: { token: { ...names, realm: tokens.url, rootCertBundle: certificate } },
      });
      try {
        const env = { OCI_USERNAME: "pusher", OCI_PASSWORD: "correct horse", PLAIN_HTTP: "1" };
        const { out } = await runCommand(["oci-push", "--repo", `${locked.host}/a/b`, "--tag", "v1"], env);
        const auth = Buffer.from("pusher:correct horse").toString("base64");
        const secret = path.join(folder, "token-secret.json");
        writeFileSync(secret, JSON.stringify({ auths: { [locked.host]: { auth } } }));
        expect(await fetchModule(pinned(out), "-pull-secret", secret)).toEqual(loaded);
        expect(tokens.requests().at(-1)).toMatchObject({
          user: "pusher",
          scopes: ["repository:a/b:pull"],
          status: 200,
        });
      } finally {
        await locked.stop();
        await tokens.stop();
      }
    });
  });

  describe("images of other tools", () => {
    let registry: Registry;
    let layer: string;

    beforeAll(async () => {
      registry = await startRegistry();
      layer = path.join(folder, "plugin.tar.gz");
      writeFileSync(layer, (await packLayer(MODULE)).bytes);
      writeFileSync(path.join(folder, "plugin.wasm"), MODULE);
      writeFileSync(path.join(folder, "runtime-config.json"), "{}");
    });

    afterAll(() => registry.stop());

    /** Istio's verdict and ours about one tag. */
    async function verdicts(repository: string): Promise<unknown> {
      const { status } = await runCommand(["oci-verify", "--repo", repository, "--tag", "v1"]);
      return { istio: await fetchModule(`oci://${repository}:v1`), verified: status === 0 };
    }

    test("crane append", async () => {
      const repository = `${registry.host}/tools/crane`;
      for (const base of [[], ["--oci-empty-base"]]) {
        await run(crane, ["append", ...base, "-f", layer, "-t", `${repository}:v1`]);
        expect(await verdicts(repository)).toEqual({ istio: loaded, verified: true });
      }
    });

    test.each<[string, string[], boolean]>([
      ["image", ["plugin.tar.gz:application/vnd.oci.image.layer.v1.tar+gzip"], true],
      [
        "artefact",
        [
          "runtime-config.json:application/vnd.module.wasm.config.v1+json",
          "plugin.wasm:application/vnd.module.wasm.content.layer.v1+wasm",
        ],
        true,
      ],
      ["one-layer artefact", ["plugin.wasm:application/vnd.module.wasm.content.layer.v1+wasm"], false],
      ["plain file", ["plugin.wasm"], false],
    ])("oras push of an %s", async (name, files, loads) => {
      const repository = `${registry.host}/tools/oras-${name.replace(/ /g, "-")}`;
      await run(oras, ["push", "--plain-http", `${repository}:v1`, ...files], { cwd: folder });
      const istioSays = loads ? loaded : refused(files.length === 1 ? "number of layers must be 2 but got 1" : "");
      expect(await verdicts(repository)).toEqual({ istio: istioSays, verified: loads });
    });

    test("docker build and docker push", async () => {
      await engineUp();
      const image = `${registry.host}/tools/docker:v1`;
      writeFileSync(path.join(folder, "Dockerfile"), "FROM scratch\nCOPY plugin.wasm ./\n");
      await run("docker", ["build", "--quiet", "--tag", image, folder], {
        env: { ...process.env, DOCKER_BUILDKIT: "0" },
      });
      try {
        await run("docker", ["push", "--quiet", image]);
        expect(await verdicts(`${registry.host}/tools/docker`)).toEqual({ istio: loaded, verified: true });
      } finally {
        await run("docker", ["image", "rm", "--force", image]);
      }
    });

    test("an image that cosign has signed keeps its digest, and only the signed one verifies", async () => {
      const env = { ...process.env, COSIGN_PASSWORD: "" };
      const repository = `${registry.host}/tools/signed`;
      const { out } = await runCommand(["oci-push", "--repo", repository, "--tag", "v1"]);
      const image = pinned(out).replace("oci://", "");
      await run(cosign, ["generate-key-pair"], { cwd: folder, env });
      const offline = ["--allow-http-registry", "--allow-insecure-registry"];
      const verify = (reference: string, key = "cosign.pub") =>
        run(cosign, ["verify", "--key", key, "--insecure-ignore-tlog=true", ...offline, reference], {
          cwd: folder,
          env,
        });
      await expect(verify(image)).rejects.toThrow("no signatures found");
      const sign = ["sign", "--key", "cosign.key", "--use-signing-config=false", "--tlog-upload=false", "--yes"];
      await run(cosign, [...sign, ...offline, image], { cwd: folder, env });
      expect(JSON.parse((await verify(image)).stdout)).toEqual([
        expect.objectContaining({
          critical: expect.objectContaining({
            image: { "docker-manifest-digest": image.slice(image.indexOf("@") + 1) },
          }),
        }),
      ]);
      expect(await verdicts(repository)).toEqual({ istio: loaded, verified: true });
      const again = await runCommand(["oci-push", "--repo", repository, "--tag", "v1"]);
      expect(pinned(again.out)).toBe(`oci://${image}`);

      const other = await runCommand(["oci-push", "--repo", repository, "--tag", "other", "--shape", "artifact"]);
      await expect(verify(pinned(other.out).replace("oci://", ""))).rejects.toThrow("no signatures found");
      const stranger = mkdtempSync(path.join(folder, "stranger-"));
      await run(cosign, ["generate-key-pair"], { cwd: stranger, env });
      await expect(verify(image, path.join(stranger, "cosign.pub"))).rejects.toThrow("could not verify envelope");
    });
  });
}

describe("another implementation of a registry", () => {
  let registry: MemoryRegistry;

  beforeAll(async () => {
    registry = await startCraneRegistry();
  });

  afterAll(() => registry.stop());

  test.each(["image", "artifact"])("takes our %s, and Istio loads it from there", async (shape) => {
    const repository = `${registry.host}/ours/${shape}`;
    const first = await runCommand(["oci-push", "--repo", repository, "--tag", "v1", "--shape", shape]);
    expect(first).toMatchObject({ status: 0, err: "" });
    const second = await runCommand(["oci-push", "--repo", repository, "--tag", "v1", "--shape", shape]);
    expect(pinned(second.out)).toBe(pinned(first.out));
    expect((await runCommand(["oci-verify", "--repo", repository, "--tag", "v1"])).status).toBe(0);
    expect(await fetchModule(pinned(first.out))).toEqual(loaded);
  });
});

describe("Istio's validation", () => {
  const GUARD = "deploy/istio/base/guard.yaml";
  const GUARDS = [
    GUARD,
    "deploy/istio/components/traffic-extension/copy/guard.yaml",
    "examples/standard/mcp-tool-guard.yaml",
  ];

  /** What the API server and istiod would say about some files. */
  async function validate(...files: string[]): Promise<{ status: number; out: string }> {
    const args = ["validate", "-crds", await istioCrds(), ...files];
    return run(istio, args).then(
      ({ stdout }) => ({ status: 0, out: stdout }),
      (error: { code: number; stdout: string }) => ({ status: error.code, out: error.stdout }),
    );
  }

  // All that is rendered: manifests.test.ts.
  test.each(GUARDS)("takes %s", async (name) => {
    expect(await validate(projectPath(name))).toEqual({
      status: 0,
      out: expect.stringMatching(/^ok (WasmPlugin|TrafficExtension) ai-agents\/mcp-tool-guard\n$/),
    });
  });

  test.each<[string, string, string, RegExp]>([
    ["an unknown member", "  type: HTTP", "  typ: HTTP", /unknown field/i],
    ["a value that is none", "failStrategy: FAIL_RELOAD", "failStrategy: FAIL_MAYBE", /Unsupported value/],
    ["a phase that is none", "phase: STATS", "phase: LATER", /Unsupported value/],
    ["a digest that is none", "  type: HTTP", "  sha256: abc", /sha256/],
    [
      "both ways to choose workloads",
      "  type: HTTP",
      "  targetRefs: [{kind: Service, group: '', name: a}]",
      /only one of targetRefs or selector/,
    ],
  ])("refuses %s", async (_, from, to, words) => {
    const text = readFileSync(projectPath(GUARD), "utf8");
    const changed = text.replace(new RegExp(`^${from}|(?<=^ +)${from}`, "m"), to);
    expect(changed).not.toBe(text);
    const file = path.join(folder, "changed.yaml");
    writeFileSync(file, changed);
    const { status, out } = await validate(file);
    expect(out).toMatch(words);
    expect(status).toBe(1);
  });
});
