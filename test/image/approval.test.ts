// The approval service's image. Goal: what approval/Dockerfile makes is what deploy/istio/approval-service can run: as a user without rights, on a file
// system that it cannot write, in the memory that it gets there. Method: Docker builds it from the tracked files, and runs it with the settings and the
// limits of the manifest, beside a real PostgreSQL and a real provider; a guard's question and a person's first step are answered.
import { execFile, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startProvider, type TryProvider } from "../../src/approval/try/provider.ts";
import { createSigningKey } from "../../src/approval/try/service-process.ts";
import { atExit } from "../../src/at-exit.ts";
import { engineUp } from "../../src/envoy/engine.ts";
import { projectPath } from "../../src/project.ts";
import { type PostgresServer, startPostgres } from "../approval/postgres-server.ts";
import { sampleCall } from "../approval/sample-call.ts";
import { readManifests, theOne } from "../deploy/manifest-files.ts";
import { freePort } from "../free-port.ts";
import { nodeImage } from "./node-base.ts";

const run = promisify(execFile);

const IMAGE = `mcp-guard/approval-test:${process.pid}`;
const BUILD_TIMEOUT_MS = 600_000;
const START = { timeout: 20_000, interval: 100 } as const;
const CLIENT = { id: "mcp-approval", secret: "secret-of-the-client-0123456789abcdef" };

interface Pod {
  securityContext: { runAsUser: number; runAsGroup: number };
  terminationGracePeriodSeconds: number;
  containers: [Container];
  volumes: { name: string; secret?: { items: { path: string }[] }; emptyDir?: { sizeLimit: string } }[];
}
interface Container {
  securityContext: {
    allowPrivilegeEscalation: boolean;
    readOnlyRootFilesystem: boolean;
    capabilities: { drop: string[] };
  };
  resources: { limits: { memory: string } };
  volumeMounts: { name: string; mountPath: string }[];
}

const manifests = readManifests("deploy/istio/approval-service/workload.yaml");
const pod = (theOne(manifests, "Deployment").spec as { template: { spec: Pod } }).template.spec;
const container = pod.containers[0];
const settings = theOne(readManifests("deploy/istio/approval-service/settings.yaml"), "ConfigMap") as unknown as {
  data: Record<string, string>;
};

let folder: string;
let postgres: PostgresServer;
let provider: TryProvider;
let port: number;
let filterPort: number;
/** The container's id. */
let service: string;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "mcp-guard-approval-image-"));
  await engineUp();
  await build(await nodeImage());
  [port, filterPort] = [await freePort(), await freePort()];
  postgres = await startPostgres();
  const publicUrl = `http://127.0.0.1:${port}`;
  const redirectUri = `${publicUrl}/callback`;
  provider = await startProvider({ port: 0, audience: publicUrl, service: { ...CLIENT, redirectUri } });
  service = await start({
    ...settings.data,
    HOST: "127.0.0.1",
    PORT: String(port),
    FILTER_PORT: String(filterPort),
    PUBLIC_URL: publicUrl,
    OIDC_ISSUER: provider.issuer,
    SIGNING_KEY_ID: "in-the-image",
  });
}, BUILD_TIMEOUT_MS);

afterAll(async () => {
  if (service !== undefined) await run("docker", ["rm", "--force", service]);
  await run("docker", ["image", "rm", "--force", IMAGE]);
  await provider?.stop();
  await postgres?.stop();
  rmSync(folder, { recursive: true, force: true });
});

test("it comes up, with its tables made, and is ready on both ports", async () => {
  const health = async () => {
    const answers = [`${port}/healthz`, `${filterPort}/readyz`].map(async (place) => {
      const answer = await fetch(`http://127.0.0.1:${place}`).catch(() => undefined);
      return answer?.status;
    });
    return Promise.all(answers);
  };
  await expect.poll(health, START).toEqual([200, 200]);
  const { stdout } = await run("docker", ["logs", service]);
  expect(stdout).toContain('"kid":"in-the-image"');
});

test("a guard's question opens an approval, which stands in the database", async () => {
  const { inputResponses: input_responses, ...call } = sampleCall();
  const answer = await fetch(`http://127.0.0.1:${filterPort}/v1/open`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ ...call, input_responses }),
  });
  const text = await answer.text();
  expect(answer.status, text).toBe(200);
  const { stdout } = await run("docker", ["exec", service, "node", "build/approval/approval/main.js", "export"]);
  expect(stdout).toContain((JSON.parse(text) as { id: string }).id);
});

test("a person is sent to the provider, and the page has its style", async () => {
  const first = await fetch(`http://127.0.0.1:${port}/sign-in?return=%2F`, { redirect: "manual" });
  expect(first.status).toBe(303);
  expect(first.headers.get("location")).toMatch(new RegExp(`^${provider.issuer}/.*code_challenge_method=S256`));
  const page = await (await fetch(`http://127.0.0.1:${port}/signed-out`)).text();
  const [, style] = /<link rel="stylesheet" href="([^"]+)"/.exec(page) ?? [];
  const answer = await fetch(new URL(style!, `http://127.0.0.1:${port}`));
  expect([answer.status, answer.headers.get("content-type")]).toEqual([200, expect.stringMatching(/^text\/css/)]);
});

test("it is nobody in particular, and has written nothing", async () => {
  const facts =
    "const p = process; console.log(p.getuid(), p.getgid(), p.getgroups().filter((g) => g !== p.getgid()).length)";
  const { stdout } = await run("docker", ["exec", service, "node", "-e", facts]);
  const { runAsUser, runAsGroup } = pod.securityContext;
  expect(stdout.trim()).toBe(`${runAsUser} ${runAsGroup} 0`);
  const write = "require('node:fs').writeFileSync('/app/build/x', '')";
  await expect(run("docker", ["exec", service, "node", "-e", write])).rejects.toThrow(/EROFS/);
});

test("packages for development are not in it, nor anything but what it runs", async () => {
  const look = "console.log(JSON.stringify(require('node:fs').readdirSync('/app').sort()))";
  const { stdout } = await run("docker", ["exec", service, "node", "-e", look]);
  expect(JSON.parse(stdout)).toEqual(
    ["LICENSE", "approval", "asconfig.json", "build", "node_modules", "package.json"].sort(),
  );
  for (const name of ["vitest", "assemblyscript", "typescript"]) {
    const resolve = `require.resolve('${name}/package.json')`;
    await expect(run("docker", ["exec", service, "node", "-e", resolve]), name).rejects.toThrow(/MODULE_NOT_FOUND/);
  }
});

test("without settings it says which are missing", async () => {
  const failed = await run("docker", ["run", "--rm", ...limits(), IMAGE]).catch((error: unknown) => error);
  expect(failed).toMatchObject({ code: 2, stderr: expect.stringMatching(/PUBLIC_URL is not set/) });
});

test("told to end it ends in order, within its time and without having been killed", async () => {
  await run("docker", ["stop", "--time", String(pod.terminationGracePeriodSeconds), service]);
  const { stdout } = await run("docker", ["inspect", "--format", "{{json .State}}", service]);
  expect(JSON.parse(stdout)).toMatchObject({ ExitCode: 0, OOMKilled: false, Status: "exited" });
});

/** Builds the image from the files that git tracks, as they stand here. */
async function build(base: string): Promise<void> {
  const { stdout: listed } = await run("git", ["ls-files", "-z"], { cwd: projectPath() });
  const tar = spawn("tar", ["--null", "--files-from=-", "-cf", "-"], { cwd: projectPath() });
  const options = ["--file", "approval/Dockerfile", "--build-arg", `NODE_IMAGE=${base}`, "--network", "host"];
  // The builder that every engine has. BuildKit is a package of its own in Debian.
  const env = { ...process.env, DOCKER_BUILDKIT: "0" };
  const docker = spawn("docker", ["build", ...options, "--tag", IMAGE, "-"], { env });
  let said = "";
  for (const stream of [docker.stdout, docker.stderr, tar.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      said += chunk.toString();
    });
  }
  docker.stdin.on("error", () => {});
  tar.stdout.pipe(docker.stdin);
  tar.stdin.end(listed);
  const status = await new Promise((resolve) => docker.once("close", resolve));
  expect(status, said.slice(-2_000)).toBe(0);
}

/** How the manifest has it run, in Docker's words. */
function limits(): string[] {
  const { securityContext, resources } = container;
  expect(securityContext).toMatchObject({ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true });
  const scratch = pod.volumes.find(({ emptyDir }) => emptyDir !== undefined)!;
  const place = container.volumeMounts.find(({ name }) => name === scratch.name)!.mountPath;
  return [
    ["--user", `${pod.securityContext.runAsUser}:${pod.securityContext.runAsGroup}`],
    ["--read-only", "--security-opt", "no-new-privileges"],
    securityContext.capabilities.drop.flatMap((name) => ["--cap-drop", name]),
    ["--memory", resources.limits.memory.replace("Mi", "m")],
    ["--tmpfs", `${place}:size=${scratch.emptyDir!.sizeLimit.replace("Mi", "m")}`],
  ].flat();
}

/** Starts it in the background, with the secrets where the manifest mounts them. @returns its id. */
async function start(environment: Readonly<Record<string, string>>): Promise<string> {
  const secrets: Record<string, string> = {
    database: await postgres.createDatabase(),
    oidc: CLIENT.secret,
    signing: readFileSync(createSigningKey(folder).file, "utf8"),
  };
  const mounts = pod.volumes.flatMap(({ name, secret }) => {
    if (secret === undefined) return [];
    const { mountPath } = container.volumeMounts.find((mount) => mount.name === name)!;
    const file = path.join(folder, name);
    // For whoever it runs as: who may read a Secret is Kubernetes' to say (`fsGroup`), and was not tried here.
    writeFileSync(file, secrets[name]!, { mode: 0o444 });
    return ["--volume", `${file}:${path.posix.join(mountPath, secret.items[0]!.path)}:ro`];
  });
  const variables = Object.entries(environment).flatMap(([name, value]) => ["--env", `${name}=${value}`]);
  const args = ["run", "--detach", "--network", "host", ...limits(), ...mounts, ...variables, IMAGE];
  const id = (await run("docker", args)).stdout.trim();
  atExit(() => spawnSync("docker", ["rm", "--force", id], { stdio: "ignore" }));
  return id;
}
