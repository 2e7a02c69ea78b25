// Envoy as a child process of the test run.
import { fetchVersion } from "../../../src/envoy/admin.ts";
import { buildBootstrap } from "../../../src/envoy/bootstrap.ts";
import { startEnvoy } from "../../../src/envoy/process.ts";
import { projectPath } from "../../../src/project.ts";
import type { EnvoyDriver } from "./driver.ts";

export const processDriver: EnvoyDriver = {
  name: "process",
  async start(options) {
    const bootstrap = buildBootstrap({
      template: "test",
      wasmPath: options.wasm ?? projectPath("build", "plugin.wasm"),
      upstream: { host: "127.0.0.1", port: options.upstreamPort },
      guards: options.guards,
    });
    options.edit?.(bootstrap);
    const envoy = await startEnvoy({
      bootstrap,
      ...(options.version !== undefined && { version: options.version }),
      ...(options.concurrency !== undefined && { concurrency: options.concurrency }),
    });
    const first = options.guards[0]?.name ?? "guard";
    return {
      version: await fetchVersion(envoy.adminUrl),
      url(guard = first) {
        const port = envoy.ports.get(guard);
        if (port === undefined) throw new Error(`no guard ${guard} among ${[...envoy.ports.keys()].join(", ")}`);
        return `http://127.0.0.1:${port}`;
      },
      adminUrl: envoy.adminUrl,
      logs: envoy.logs,
      accessLog: envoy.accessLog,
      stats: envoy.stats,
      stop: envoy.stop,
    };
  },
};
