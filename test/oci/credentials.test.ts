// Credentials. Goal: what Docker's configuration says is found in Docker's order, and a source that is there and cannot be
// used is an error, not "none". Method: configuration files and helper programs in a folder of the test's own.
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { findCredentials } from "../../src/oci/credentials.ts";

let folder: string;
let env: NodeJS.ProcessEnv;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "mcp-guard-docker-"));
  env = { DOCKER_CONFIG: folder, PATH: `${path.join(folder, "bin")}:${process.env.PATH}` };
  mkdirSync(path.join(folder, "bin"));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

const base64 = (text: string) => Buffer.from(text).toString("base64");

function configure(config: object | string): void {
  writeFileSync(path.join(folder, "config.json"), typeof config === "string" ? config : JSON.stringify(config));
}

/** A credential helper that answers with what a shell script says; what it was asked for is in `asked` of the folder. */
function helper(name: string, script: string): void {
  const file = path.join(folder, "bin", `docker-credential-${name}`);
  writeFileSync(file, `#!/bin/sh\n[ "$1" = get ] || exit 9\nregistry=$(cat)\n${script}\n`);
  chmodSync(file, 0o755);
}

const password = (username: string, secret: string) => ({ kind: "password", username, password: secret });
const REGISTRY = "registry.example:5000";

describe("the environment", () => {
  test("comes first", async () => {
    configure({ auths: { [REGISTRY]: { auth: base64("file:x") } } });
    const found = await findCredentials(REGISTRY, { ...env, OCI_USERNAME: "me", OCI_PASSWORD: "p:w" });
    expect(found).toEqual({ ...password("me", "p:w"), origin: "OCI_USERNAME and OCI_PASSWORD" });
  });

  test.each([
    [{ OCI_USERNAME: "me" }, "OCI_USERNAME is set and OCI_PASSWORD is not"],
    [{ OCI_PASSWORD: "x" }, "OCI_PASSWORD is set and OCI_USERNAME is not"],
  ])("is whole or not at all", async (half, words) => {
    await expect(findCredentials(REGISTRY, { ...env, ...half })).rejects.toThrow(words);
  });
});

describe("the configuration file", () => {
  test("may be missing", async () => {
    expect(await findCredentials(REGISTRY, env)).toBeUndefined();
  });

  test("is looked for in the home folder", async () => {
    mkdirSync(path.join(folder, ".docker"));
    writeFileSync(
      path.join(folder, ".docker", "config.json"),
      JSON.stringify({ auths: { [REGISTRY]: { auth: base64("h:x") } } }),
    );
    expect(await findCredentials(REGISTRY, { HOME: folder })).toMatchObject(password("h", "x"));
  });

  test.each<[string, object, object | undefined]>([
    ["a host", { [REGISTRY]: { auth: base64("me:p:w") } }, password("me", "p:w")],
    ["a URL", { [`https://${REGISTRY}/v1/`]: { auth: base64("me:pw") } }, password("me", "pw")],
    [
      "a host before a URL",
      { [`https://${REGISTRY}`]: { auth: base64("b:x") }, [REGISTRY]: { auth: base64("a:x") } },
      password("a", "x"),
    ],
    ["a name and a password", { [REGISTRY]: { username: "me", password: "pw" } }, password("me", "pw")],
    [
      "an identity token",
      { [REGISTRY]: { auth: base64("me:"), identitytoken: "t" } },
      { kind: "identity", token: "t" },
    ],
    ["a registry token", { [REGISTRY]: { registrytoken: "t" } }, { kind: "bearer", token: "t" }],
    ["an empty entry", { [REGISTRY]: {} }, undefined],
    ["another port", { "registry.example": { auth: base64("me:pw") } }, undefined],
    ["a longer name", { [`x${REGISTRY}`]: { auth: base64("me:pw") } }, undefined],
  ])("finds %s", async (_, auths, expected) => {
    configure({ auths });
    const found = await findCredentials(REGISTRY, env);
    if (expected === undefined) expect(found).toBeUndefined();
    else expect(found).toEqual({ ...expected, origin: path.join(folder, "config.json") });
  });

  test("has its own key for Docker Hub", async () => {
    configure({ auths: { "https://index.docker.io/v1/": { auth: base64("hub:x") } } });
    expect(await findCredentials("docker.io", env)).toMatchObject(password("hub", "x"));
  });

  test("is no place for names of the language", async () => {
    configure({ auths: {}, credHelpers: {} });
    expect(await findCredentials("constructor", env)).toBeUndefined();
  });

  test.each([
    ["{", "is no JSON"],
    ["[]", "expected a JSON object"],
    ['{"auths":{"registry.example:5000":{"auth":"bm9jb2xvbg=="}}}', "is not the base64 of user:password"],
  ])("is refused as %s", async (text, words) => {
    configure(text);
    await expect(findCredentials(REGISTRY, env)).rejects.toMatchObject({
      code: "ERR_CREDENTIALS",
      message: expect.stringContaining(words),
    });
  });
});

describe("credential helpers", () => {
  const answer = (username: string, secret: string) =>
    `printf '{"ServerURL":"%s","Username":"${username}","Secret":"${secret}"}' "$registry"`;

  test("are asked for the registry, the registry's own before the general one", async () => {
    helper("own", answer("own", "s1"));
    helper("all", answer("all", "s2"));
    configure({
      credsStore: "all",
      credHelpers: { [REGISTRY]: "own" },
      auths: { [REGISTRY]: { auth: base64("f:x") } },
    });
    expect(await findCredentials(REGISTRY, env)).toEqual({ ...password("own", "s1"), origin: "docker-credential-own" });
    expect(await findCredentials("other.example", env)).toMatchObject(password("all", "s2"));
  });

  test("get the registry's name as their input", async () => {
    helper("echo", `printf '{"Username":"%s","Secret":"s"}' "$registry"`);
    configure({ credsStore: "echo" });
    expect(await findCredentials(REGISTRY, env)).toMatchObject(password(REGISTRY, "s"));
  });

  test("give an identity token under a name of its own", async () => {
    helper("token", answer("<token>", "refresh"));
    configure({ credsStore: "token" });
    expect(await findCredentials(REGISTRY, env)).toEqual({
      kind: "identity",
      token: "refresh",
      origin: "docker-credential-token",
    });
  });

  test("may have nothing, then the file counts", async () => {
    helper("none", "echo credentials not found in native keychain; exit 1");
    configure({ credsStore: "none" });
    expect(await findCredentials(REGISTRY, env)).toBeUndefined();
    configure({ credsStore: "none", auths: { [REGISTRY]: { auth: base64("f:x") } } });
    expect(await findCredentials(REGISTRY, env)).toMatchObject(password("f", "x"));
  });

  test.each([
    ["echo the keychain is locked; exit 1", "docker-credential-x get ended with 1: the keychain is locked"],
    ["kill -9 $$", "docker-credential-x get ended with SIGKILL"],
    ["echo no json", "did not answer with JSON that has Username and Secret"],
    [`printf '{"Username":"me"}'`, "did not answer with JSON that has Username and Secret"],
  ])("that fail are an error: %s", async (script, words) => {
    helper("x", script);
    configure({ credsStore: "x", auths: { [REGISTRY]: { auth: base64("f:x") } } });
    await expect(findCredentials(REGISTRY, env)).rejects.toThrow(words);
  });

  test("never show a secret in an error", async () => {
    helper("x", `printf '{"Secret":"hunter2"'`);
    configure({ credsStore: "x" });
    await expect(findCredentials(REGISTRY, env)).rejects.toSatisfy((error) => !String(error).includes("hunter2"));
  });

  test("that are not there are an error", async () => {
    configure({ credsStore: "missing" });
    await expect(findCredentials(REGISTRY, env)).rejects.toThrow("docker-credential-missing is not on the PATH");
  });

  test("have names, not paths", async () => {
    configure({ credsStore: "../../bin/sh" });
    await expect(findCredentials(REGISTRY, env)).rejects.toThrow("which is no name");
  });
});
