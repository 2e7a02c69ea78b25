// make oci-push and make oci-verify against real registries. Goal: what is pushed can be pulled, two pushes give one digest,
// and whatever goes wrong is named and leaves the tag as it was. Method: the compiled command in a process of its own, a
// registry with a password, with tokens, over TLS, with a full disk, and a wire that breaks or holds.

import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectTcp, createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { digestOf } from "../../src/oci/digest.ts";
import { findFacts } from "../../src/oci/facts.ts";
import { buildImage } from "../../src/oci/image.ts";
import { pushImage } from "../../src/oci/push.ts";
import { parseRepository } from "../../src/oci/reference.ts";
import { Registry as Client } from "../../src/oci/registry.ts";
import { MEDIA_TYPE } from "../../src/oci/shape.ts";
import { projectPath } from "../../src/project.ts";
import { isRegistryAvailable } from "./available.ts";
import { runCommand, startCommand } from "./command.ts";
import { type Registry, startRegistry } from "./registry.ts";
import { startScriptedRegistry } from "./scripted-registry.ts";
import { startTokenServer, type TokenServer } from "./token-server.ts";
import { startWireTap } from "./wire-tap.ts";

const MODULE = readFileSync(projectPath("build", "plugin.wasm"));
const fixture = (name: string) => readFileSync(projectPath("test", "fixtures", "oci", name), "utf8");
const USER = { OCI_USERNAME: "pusher", OCI_PASSWORD: "correct horse" };
const PINNED = /^url: oci:\/\/(\S+)@(sha256:[0-9a-f]{64})$/m;

/** The small module that stands under a tag before something goes wrong. */
const EARLIER = Buffer.from("0061736d01000000", "hex");

let home: string;

beforeEach(() => {
  home = mkdtempSync(path.join(tmpdir(), "mcp-guard-home-"));
});

afterEach(() => {
  rmSync(home, { recursive: true });
});

function client(host: string, env: NodeJS.ProcessEnv = {}): Client {
  const { signal } = new AbortController();
  return new Client(parseRepository(`${host}/team/mcp-guard`), {
    access: "pull,push",
    env: { HOME: home, ...env },
    signal,
    say: () => {},
  });
}

/** Pushes the small module, and returns what the tag stands for then. */
async function pushEarlier(host: string, tag: string, env: NodeJS.ProcessEnv = {}): Promise<string> {
  const registry = client(host, env);
  const image = await buildImage(EARLIER, await findFacts(MODULE), "image");
  const { digest } = await pushImage(registry, image, tag, { say: () => {}, status: () => {} });
  await registry.close();
  return digest;
}

async function resolve(host: string, tag: string, env: NodeJS.ProcessEnv = {}): Promise<string | undefined> {
  const registry = client(host, env);
  const digest = await registry.resolve(tag);
  await registry.close();
  return digest;
}

const push = (host: string, tag: string, env: NodeJS.ProcessEnv = {}) =>
  runCommand(["oci-push", "--repo", `${host}/team/mcp-guard`, "--tag", tag], { HOME: home, ...env });

const verify = (host: string, reference: string, env: NodeJS.ProcessEnv = {}) =>
  runCommand(
    [
      "oci-verify",
      "--repo",
      `${host}/team/mcp-guard`,
      reference.startsWith("sha256:") ? "--digest" : "--tag",
      reference,
    ],
    {
      HOME: home,
      ...env,
    },
  );

/** A push that must fail, with these words, and leave the tag alone. */
async function expectUntouched(
  registry: { host: string },
  words: RegExp,
  env: NodeJS.ProcessEnv = {},
  { host = registry.host, reader = {} }: { host?: string; reader?: NodeJS.ProcessEnv } = {},
): Promise<void> {
  const before = await pushEarlier(registry.host, "kept", reader);
  const { status, err } = await push(host, "kept", env);
  expect(err).toMatch(words);
  expect(err).toContain("The tag kept was not touched.");
  expect(status).toBe(1);
  expect(await resolve(registry.host, "kept", reader)).toBe(before);
}

describe("the arguments", () => {
  test.each([
    [["oci-push"], "REPO and TAG are required"],
    [["oci-push", "--repo", "registry.example/a"], "REPO and TAG are required"],
    [["oci-push", "--repo", "a/b", "--tag", "v1"], "the registry's host is missing"],
    [["oci-push", "--repo", "registry.example/a", "--tag", "v 1"], "TAG=v 1"],
    [
      ["oci-push", "--repo", "registry.example/a", "--tag", "v1", "--shape", "zip"],
      "SHAPE=zip: expected image or artifact",
    ],
    [
      ["oci-push", "--repo", "registry.example/a", "--tag", "v1", "--plain-http", "yes"],
      "PLAIN_HTTP=yes: expected 0 or 1",
    ],
    [["oci-push", "--wat"], "Unknown option '--wat'"],
    [["oci-verify"], "REPO is required"],
    [["oci-verify", "--repo", "registry.example/a"], "TAG or DIGEST is required, and not both"],
    [["oci-verify", "--repo", "registry.example/a", "--tag", "v1", "--digest", "sha256:0"], "and not both"],
    [
      ["oci-verify", "--repo", "registry.example/a", "--digest", "sha256:0"],
      "expected sha256: and 64 hexadecimal digits",
    ],
  ])("%j", async (args, words) => {
    const { status, err } = await runCommand(args, { HOME: home });
    expect({ status, err }).toEqual({ status: 2, err: expect.stringContaining(words) });
  });

  test.each(["oci-push", "oci-verify"])("%s --help", async (name) => {
    const { status, out } = await runCommand([name, "--help"]);
    expect(status).toBe(0);
    expect(out).toMatch(/^usage: mcp-guard oci-/);
  });
});

describe("a registry that cannot be reached", () => {
  test("nothing listens", async () => {
    const server = createServer();
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    const { port } = server.address() as { port: number };
    await new Promise((closed) => server.close(closed));
    const { status, err } = await push(`127.0.0.1:${port}`, "v1");
    expect(err).toContain(`127.0.0.1:${port}: nothing listens there (connection refused)\nThe tag v1 was not touched.`);
    expect(status).toBe(1);
  });

  test("there is no such host", async () => {
    const { status, err } = await push("registry.invalid", "v1");
    expect(err).toMatch(/registry\.invalid: (there is no host of this name|the connection failed \(EAI_AGAIN\))/);
    expect(status).toBe(1);
  });
});

if (await isRegistryAvailable()) {
  describe("an open registry", () => {
    let registry: Registry;

    beforeAll(async () => {
      registry = await startRegistry();
    });

    afterAll(() => registry.stop());

    test("two pushes, one digest; the second writes nothing", async () => {
      const first = await push(registry.host, "v1");
      expect({ status: first.status, err: first.err }).toEqual({ status: 0, err: "" });
      const digest = PINNED.exec(first.out)?.[2];
      expect(first.out).toContain(`tagged        ${registry.host}/team/mcp-guard:v1`);
      expect(first.out).toContain(`module        ${digestOf(MODULE)}, ${MODULE.length} bytes`);
      expect(await resolve(registry.host, "v1")).toBe(digest);

      const tap = await startWireTap({ to: registry.port, afterBytes: Number.MAX_SAFE_INTEGER, happens: "hold" });
      const second = await push(tap.host, "v1");
      expect(PINNED.exec(second.out)?.[2]).toBe(digest);
      expect(second.out).toContain("unchanged     ");
      expect(tap.sent()).not.toMatch(/(?:POST|PATCH) \/v2\/|PUT \S+\/manifests\/v1 /);
      await tap.stop();
    });

    test("writes the tag last, when everything has been read back", async () => {
      const tap = await startWireTap({ to: registry.port, afterBytes: Number.MAX_SAFE_INTEGER, happens: "hold" });
      await push(tap.host, "v-order");
      const requests = [...tap.sent().matchAll(/(GET|HEAD|POST|PUT) \/v2\/(\S*) HTTP\/1\.1\r/g)].map(
        ([, method, target]) =>
          `${method} ${target?.replaceAll(/sha256(:|%3A)[0-9a-f]{64}/g, "DIGEST").replace(/uploads\/.*/, "uploads/")}`,
      );
      expect(requests.slice(-5)).toEqual([
        "PUT team/mcp-guard/manifests/DIGEST",
        "GET team/mcp-guard/manifests/DIGEST",
        "GET team/mcp-guard/blobs/DIGEST",
        "PUT team/mcp-guard/manifests/v-order",
        "HEAD team/mcp-guard/manifests/v-order",
      ]);
      await tap.stop();
    });

    test("the artefact shape has another digest and the same module", async () => {
      const { status, out } = await runCommand(["oci-push"], {
        HOME: home,
        REPO: `${registry.host}/team/mcp-guard`,
        TAG: "artifact",
        SHAPE: "artifact",
      });
      expect(status).toBe(0);
      const verified = await verify(registry.host, "artifact");
      expect(verified.out).toContain("shape         artifact");
      expect(verified.out).toContain("the module is build/plugin.wasm");
      expect(PINNED.exec(verified.out)?.[2]).toBe(PINNED.exec(out)?.[2]);
      expect(verified.status).toBe(0);
    });

    test("a tag moves to a new module, and the old digest stays", async () => {
      const before = await pushEarlier(registry.host, "moving");
      const { out } = await push(registry.host, "moving");
      expect(await resolve(registry.host, "moving")).toBe(PINNED.exec(out)?.[2]);
      expect(PINNED.exec(out)?.[2]).not.toBe(before);
      expect((await verify(registry.host, before)).status).toBe(1);
    });

    test("verify says what is there", async () => {
      const { out } = await push(registry.host, "v1");
      const digest = PINNED.exec(out)?.[2] ?? "";
      for (const reference of ["v1", digest]) {
        const verified = await verify(registry.host, reference);
        expect(verified.status).toBe(0);
        expect(verified.out).toContain("shape         image");
        expect(verified.out).toContain("annotation    org.opencontainers.image.licenses=Apache-2.0");
        expect(PINNED.exec(verified.out)).toMatchObject({ 1: `${registry.host}/team/mcp-guard`, 2: digest });
      }
    });

    test("verify refuses another module", async () => {
      await pushEarlier(registry.host, "other");
      const { status, out, err } = await verify(registry.host, "other");
      expect(err).toContain(`this is another module than build/plugin.wasm, which is ${digestOf(MODULE)}`);
      expect(out).not.toContain("url:");
      expect(status).toBe(1);
    });

    test("verify names a tag that is not there", async () => {
      const { status, err } = await verify(registry.host, "missing");
      expect(err).toContain("there is no missing in team/mcp-guard");
      expect(status).toBe(1);
    });

    test("verify goes through an index and says what to pin instead", async () => {
      const { out } = await push(registry.host, "v1");
      const child = PINNED.exec(out)?.[2] ?? "";
      const writer = client(registry.host);
      const { text } = await writer.manifest(child);
      const bytes = Buffer.from(
        JSON.stringify({
          schemaVersion: 2,
          mediaType: MEDIA_TYPE.ociIndex,
          manifests: [{ mediaType: MEDIA_TYPE.ociManifest, digest: child, size: Buffer.byteLength(text) }],
        }),
      );
      await writer.putManifest("index", {
        mediaType: MEDIA_TYPE.ociIndex,
        digest: digestOf(bytes),
        size: bytes.length,
        bytes,
      });
      await writer.close();
      const verified = await verify(registry.host, "index");
      expect(verified.out).toContain(`note: ${digestOf(bytes)} is an index`);
      expect(PINNED.exec(verified.out)?.[2]).toBe(child);
      expect(verified.status).toBe(0);
      const pinned = await verify(registry.host, digestOf(bytes));
      expect(pinned.err).toContain(`Pin ${child}`);
      expect(pinned.status).toBe(1);
    });

    // This registry forgets an upload that broke (it compares the offset in the session's address with what has arrived), so
    // the upload begins anew. hostile.test.ts has the registries that go on where it stopped.
    test("an upload that breaks is made again", async () => {
      // Of the blobs only the layer is large enough to be cut here. A repository of its own has none of them yet.
      const tap = await startWireTap({ to: registry.port, afterBytes: 60_000, happens: "break" });
      const repository = `${tap.host}/resume/mcp-guard`;
      const { status, out } = await runCommand(["oci-push", "--repo", repository, "--tag", "v1"], { HOME: home });
      expect(out).toMatch(/the connection failed \(\w+\): attempt 2 of 5/);
      expect(status).toBe(0);
      expect(
        [...tap.sent().matchAll(/GET \S+\/uploads\/|PUT \S+\/uploads\//g)].map(([request]) => request.slice(0, 3)),
      ).toEqual([
        "PUT", // the configuration
        "PUT", // the layer, which breaks
        "GET", // how much of it is there
        "PUT",
      ]);
      await tap.stop();
    });

    test("a push that is killed leaves the tag, and the next one completes", async () => {
      const before = await pushEarlier(registry.host, "killed");
      const tap = await startWireTap({ to: registry.port, afterBytes: 60_000, happens: "hold" });
      const running = startCommand(["oci-push", "--repo", `${tap.host}/team/killed`, "--tag", "killed"], {
        HOME: home,
      });
      await tap.reached;
      running.child.kill("SIGKILL");
      expect((await running.ended).signal).toBe("SIGKILL");
      await tap.stop();
      expect(await resolve(registry.host, "killed")).toBe(before);
      const next = await runCommand(["oci-push", "--repo", `${registry.host}/team/killed`, "--tag", "killed"], {
        HOME: home,
      });
      expect(next.status).toBe(0);
    });

    test.each<NodeJS.Signals>(["SIGINT", "SIGTERM"])(
      "%s ends a push with the usual status, and says so",
      async (signal) => {
        const tap = await startWireTap({ to: registry.port, afterBytes: 60_000, happens: "hold" });
        const repository = `${tap.host}/team/${signal.toLowerCase()}`;
        const running = startCommand(["oci-push", "--repo", repository, "--tag", "v1"], { HOME: home });
        await tap.reached;
        running.child.kill(signal);
        const { status, err } = await running.ended;
        expect({ status, err }).toEqual({
          status: 130,
          err: "mcp-guard oci-push: interrupted; the tag v1 was not touched\n",
        });
        await tap.stop();
      },
    );

    test("progress is shown on a terminal, and only there", async () => {
      const command = [process.execPath, projectPath("build", "node", "cli", "main.js")];
      const repository = `${registry.host}/team/progress`;
      // Python gives the command a terminal of its own and copies what appears there.
      const script = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
      const env = { PATH: process.env.PATH, HOME: home };
      const shown = spawnSync("python3", ["-c", script, ...command, "oci-push", "--repo", repository, "--tag", "v1"], {
        env,
        encoding: "utf8",
      });
      expect(shown.status).toBe(0);
      expect(shown.stdout).toMatch(/\[2K\ruploading {5}sha256:\w+: \d+ of \d+ bytes \(100 %\)/);
      expect(shown.stdout).toMatch(PINNED);
      const plain = await push(registry.host, "quiet");
      expect(`${plain.out}${plain.err}`).not.toContain("\x1b");
    });
  });

  describe("a registry with a password", () => {
    let registry: Registry;
    const base64 = Buffer.from("pusher:correct horse").toString("base64");

    beforeAll(async () => {
      registry = await startRegistry({ auth: { htpasswd: fixture("htpasswd") } });
    });

    afterAll(() => registry.stop());

    test("takes it from the environment", async () => {
      expect(await push(registry.host, "env", USER)).toMatchObject({ status: 0, err: "" });
      expect((await verify(registry.host, "env", USER)).status).toBe(0);
    });

    test("takes it from Docker's configuration", async () => {
      mkdirSync(path.join(home, ".docker"));
      const config = { auths: { [registry.host]: { auth: base64 } } };
      writeFileSync(path.join(home, ".docker", "config.json"), JSON.stringify(config));
      expect(await push(registry.host, "config")).toMatchObject({ status: 0, err: "" });
    });

    test("takes it from a credential helper", async () => {
      const helper = path.join(home, "docker-credential-test");
      const answer = JSON.stringify({ Username: "pusher", Secret: "correct horse" });
      writeFileSync(helper, `#!/bin/sh\n[ "$(cat)" = "${registry.host}" ] && echo '${answer}'\n`);
      chmodSync(helper, 0o755);
      writeFileSync(path.join(home, "config.json"), JSON.stringify({ credHelpers: { [registry.host]: "test" } }));
      const env = { DOCKER_CONFIG: home, PATH: `${home}:${process.env.PATH}` };
      expect(await push(registry.host, "helper", env)).toMatchObject({ status: 0, err: "" });
    });

    test("names what is missing without one", async () => {
      const words =
        /the registry wants credentials: OCI_USERNAME and OCI_PASSWORD are not set, and \S+config\.json has none/;
      await expectUntouched(registry, words, {}, { reader: USER });
    });

    test("refuses a wrong one", async () => {
      const words = /the registry refused user "pusher" \(from OCI_USERNAME and OCI_PASSWORD\)/;
      await expectUntouched(registry, words, { ...USER, OCI_PASSWORD: "wrong" }, { reader: USER });
    });
  });

  describe("a registry with a token server", () => {
    let registry: Registry;
    let tokens: TokenServer;

    beforeAll(async () => {
      const names = { issuer: "test", service: "registry.test" };
      const certificate = fixture("localhost.crt");
      const users = { pusher: { password: "correct horse" }, reader: { password: "r", actions: ["pull"] } };
      tokens = await startTokenServer({ ...names, users, key: fixture("localhost.key"), certificate });
      registry = await startRegistry({ auth: { token: { ...names, realm: tokens.url, rootCertBundle: certificate } } });
    });

    afterAll(async () => {
      await registry.stop();
      await tokens.stop();
    });

    test("gets one token for a push", async () => {
      const before = tokens.requests().length;
      expect(await push(registry.host, "v1", USER)).toMatchObject({ status: 0, err: "" });
      const asked = tokens.requests().slice(before);
      expect(asked).toEqual([
        expect.objectContaining({ grant: "basic", user: "pusher", scopes: ["repository:team/mcp-guard:pull,push"] }),
      ]);
    });

    test("lets everybody read, by a token without a name", async () => {
      await push(registry.host, "v1", USER);
      expect(await verify(registry.host, "v1")).toMatchObject({ status: 0, err: "" });
      expect(tokens.requests().at(-1)).toMatchObject({
        grant: "anonymous",
        scopes: ["repository:team/mcp-guard:pull"],
      });
    });

    test("takes an identity token", async () => {
      const config = { auths: { [registry.host]: { identitytoken: tokens.identityToken("pusher") } } };
      writeFileSync(path.join(home, "config.json"), JSON.stringify(config));
      expect(await push(registry.host, "identity", { DOCKER_CONFIG: home })).toMatchObject({ status: 0, err: "" });
      expect(tokens.requests().at(-1)).toMatchObject({ grant: "refresh_token", user: "pusher" });
    });

    test("refuses a wrong password", async () => {
      const words = /the registry refused user "pusher" \(from OCI_USERNAME and OCI_PASSWORD\)/;
      await expectUntouched(registry, words, { ...USER, OCI_PASSWORD: "wrong" }, { reader: USER });
    });

    test("refuses an identity token that is none", async () => {
      writeFileSync(
        path.join(home, "config.json"),
        JSON.stringify({ auths: { [registry.host]: { identitytoken: "x" } } }),
      );
      await expectUntouched(
        registry,
        /refused the token \(from \S+config\.json\)/,
        { DOCKER_CONFIG: home },
        { reader: USER },
      );
    });

    test("does not let a reader write", async () => {
      await expectUntouched(
        registry,
        /refused user "reader"/,
        { OCI_USERNAME: "reader", OCI_PASSWORD: "r" },
        { reader: USER },
      );
    });
  });

  describe("a registry with TLS", () => {
    let registry: Registry;
    const tls = { certificate: fixture("localhost.crt"), key: fixture("localhost.key") };
    const trust = { NODE_EXTRA_CA_CERTS: projectPath("test", "fixtures", "oci", "localhost.crt") };

    beforeAll(async () => {
      registry = await startRegistry({ tls, auth: { htpasswd: fixture("htpasswd") } });
    });

    afterAll(() => registry.stop());

    test("is spoken to when its certificate is trusted", async () => {
      const env = { ...USER, ...trust, PLAIN_HTTP: "0" };
      expect(await push(registry.host, "v1", env)).toMatchObject({ status: 0, err: "" });
      expect(await verify(registry.host, "v1", env)).toMatchObject({ status: 0, err: "" });
    });

    test.each<[string, NodeJS.ProcessEnv, RegExp]>([
      ["its certificate is not trusted", { PLAIN_HTTP: "0" }, /its certificate is not trusted. NODE_EXTRA_CA_CERTS=/],
      [
        "it is spoken to without TLS",
        {},
        /GET \/v2\/ was answered with 400: Client sent an HTTP request to an HTTPS server/,
      ],
    ])("is not told the password when %s", async (_, env, words) => {
      const { status, err } = await push(registry.host, "v2", { ...USER, ...env });
      expect(err).toMatch(words);
      expect(status).toBe(1);
    });

    test("a certificate for another name is refused", async () => {
      const { port } = registry;
      const { err } = await push(`127.0.0.2:${port}`, "v2", { ...trust, PLAIN_HTTP: "0" });
      expect(err).toMatch(/its certificate is for another name|nothing listens there/);
    });

    test("an upload is not sent on without TLS", async () => {
      const upload = { status: 202, headers: { location: "http://127.0.0.1:9/upload" } };
      const scripted = await startScriptedRegistry(
        ({ method }) => (method === "POST" ? upload : { status: method === "HEAD" ? 404 : 200 }),
        tls,
      );
      const { status, err } = await push(scripted.host, "v2", { ...trust, PLAIN_HTTP: "0" });
      expect(err).toContain("the registry sends the upload to http://127.0.0.1:9, which is not HTTPS");
      expect(status).toBe(1);
      await scripted.stop();
    });
  });

  test("a registry without TLS on another machine is not spoken to", async () => {
    // The open registry stands behind a proxy, so its name is not this machine's.
    const registry = await startRegistry();
    const proxy = await startProxy(registry.port);
    const env = { HTTP_PROXY: proxy.url, HTTPS_PROXY: proxy.url, NO_PROXY: "" };
    const closed = await push("registry.test:5000", "v1", env);
    expect(closed.err).toMatch(/it does not speak TLS. PLAIN_HTTP=1 allows plain HTTP/);
    expect(closed.status).toBe(1);
    const open = await push("registry.test:5000", "v1", { ...env, PLAIN_HTTP: "1" });
    expect(open).toMatchObject({ status: 0, err: "" });
    expect(new Set(proxy.asked())).toEqual(new Set(["registry.test:5000"]));
    // This machine itself is never asked for through a proxy.
    const before = proxy.asked().length;
    expect((await push(registry.host, "v1", env)).status).toBe(0);
    expect(proxy.asked().length).toBe(before);
    await proxy.stop();
    await registry.stop();
  });

  test("a registry with a full disk", async () => {
    const registry = await startRegistry({ storageLimitBytes: 65_536 });
    await expectUntouched(registry, /answered with 500: .*the registry's disk is full/);
    await registry.stop();
  });
}

/** A proxy that opens every tunnel to one port of this machine, and says for whom it was asked. */
async function startProxy(to: number): Promise<{ url: string; asked(): string[]; stop(): Promise<void> }> {
  const asked: string[] = [];
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", (head: Buffer) => {
      asked.push(/^CONNECT (\S+) /.exec(head.toString("latin1"))?.[1] ?? "no CONNECT");
      const target = connectTcp(to, "127.0.0.1", () => {
        socket.write("HTTP/1.1 200 OK\r\n\r\n");
        socket.pipe(target).pipe(socket);
      });
      target.on("error", () => socket.destroy());
    });
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  return {
    url: `http://127.0.0.1:${(server.address() as { port: number }).port}`,
    asked: () => asked,
    stop: () => new Promise((stopped) => server.close(() => stopped())),
  };
}
