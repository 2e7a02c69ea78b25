// Envoy in a container (testcontainers). Files are copied in, nothing is mounted: this also works with a remote DOCKER_HOST.
import { spawnSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { GenericContainer, Wait } from "testcontainers";
import { atExit } from "../../../src/at-exit.ts";
import { parseAccessLine } from "../../../src/envoy/access-log.ts";
import { fetchListenerPorts, fetchStats, fetchVersion } from "../../../src/envoy/admin.ts";
import { buildBootstrap } from "../../../src/envoy/bootstrap.ts";
import { engineUp, envoyImage } from "../../../src/envoy/engine.ts";
import { projectPath } from "../../../src/project.ts";
import type { EnvoyDriver } from "./driver.ts";

const ADMIN_PORT = 9901;
/** Guards listen on this port and those after it: published ports have to be known before the container starts. */
const FIRST_GUARD_PORT = 10_000;
const WASM_PATH = "/etc/envoy/plugin.wasm";
const BOOTSTRAP_PATH = "/etc/envoy/envoy.yaml";
const READY_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 5_000;
/** Whose container it is: the process id of the test run. */
const OWNER_LABEL = "mcp-guard.owner";

export const containerDriver: EnvoyDriver = {
  name: "container",
  async start(options) {
    await prepared();
    const image = await envoyImage(options.version);
    const guards = options.guards.map((guard, index) => ({
      ...guard,
      listenHost: "0.0.0.0",
      listenPort: FIRST_GUARD_PORT + index,
    }));
    const bootstrap = buildBootstrap({
      template: "test",
      wasmPath: WASM_PATH,
      upstream: { host: "host.docker.internal", port: options.upstreamPort },
      guards,
      adminHost: "0.0.0.0",
      adminPort: ADMIN_PORT,
    });
    options.edit?.(bootstrap);

    let log = "";
    const container = await new GenericContainer(image)
      .withEntrypoint(["/usr/local/bin/envoy"])
      .withCommand(
        [
          ["--config-path", BOOTSTRAP_PATH],
          ["--log-level", "info", "--component-log-level", "wasm:debug"],
          ["--concurrency", String(options.concurrency ?? 1)],
          ["--file-flush-interval-msec", "50", "--disable-hot-restart"],
        ].flat(),
      )
      .withLabels({ [OWNER_LABEL]: String(process.pid) })
      .withExtraHosts([{ host: "host.docker.internal", ipAddress: "host-gateway" }])
      // Envoy runs as an unprivileged user in the image, so the copies have to be readable for everybody.
      .withCopyContentToContainer([
        { content: JSON.stringify(bootstrap, null, 2), target: BOOTSTRAP_PATH, mode: 0o644 },
        {
          content: await readFile(options.wasm ?? projectPath("build", "plugin.wasm")),
          target: WASM_PATH,
          mode: 0o644,
        },
      ])
      .withExposedPorts(ADMIN_PORT, ...guards.map((guard) => guard.listenPort))
      // abortOnContainerExit: a refused bootstrap fails at once, with Envoy's own last lines, not after the timeout.
      .withWaitStrategy(
        Wait.forHttp("/ready", ADMIN_PORT, { abortOnContainerExit: true }).withStartupTimeout(READY_TIMEOUT_MS),
      )
      .withLogConsumer((stream) => {
        stream.setEncoding("utf8");
        stream.on("data", (chunk: string) => {
          log += chunk;
        });
      })
      .start();

    const origin = (port: number) => `http://${container.getHost()}:${container.getMappedPort(port)}`;
    const adminUrl = origin(ADMIN_PORT);
    const ports = await fetchListenerPorts(adminUrl);
    const first = guards[0]?.name ?? "guard";
    const lines = () => log.split("\n");
    let stopped: Promise<void> | undefined;
    return {
      version: await fetchVersion(adminUrl),
      url(guard = first) {
        const port = ports.get(guard);
        if (port === undefined) throw new Error(`no guard ${guard} among ${[...ports.keys()].join(", ")}`);
        return origin(port);
      },
      adminUrl,
      logs: () =>
        lines()
          .filter((line) => parseAccessLine(line) === undefined)
          .join("\n"),
      accessLog: () => lines().flatMap((line) => parseAccessLine(line) ?? []),
      stats: (filter) => fetchStats(adminUrl, filter),
      stop() {
        stopped ??= container.stop({ timeout: STOP_TIMEOUT_MS }).then(() => {});
        return stopped;
      },
    };
  },
};

let preparation: Promise<void> | undefined;

/** Once per process: an engine that answers, and the promise that an interrupted run leaves no container behind. */
function prepared(): Promise<void> {
  preparation ??= engineUp().then(() => {
    atExit(removeOwnContainers);
  });
  return preparation;
}

/** By label, not by id: this also finds a container that was still being created. */
function removeOwnContainers(): void {
  const label = `${OWNER_LABEL}=${process.pid}`;
  const found = spawnSync("docker", ["ps", "--all", "--quiet", "--filter", `label=${label}`], { encoding: "utf8" });
  const ids = (found.stdout ?? "").split("\n").filter((id) => id !== "");
  if (ids.length > 0) spawnSync("docker", ["rm", "--force", ...ids]);
}
