// Builds a bootstrap from one of the commented templates in envoy/: the template says how Envoy is set up, this file only
// fills in what differs from start to start.
import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { projectPath } from "../project.ts";

/** Where requests go: a TCP address, or the path of a Unix socket. */
export type Upstream = { host: string; port: number } | { socketPath: string };

/** One guard: a listener with the filter on it. */
export interface GuardOptions {
  /** The listener's name; a second guard needs one of its own. Default `guard`. */
  name?: string;
  /** The port, default: as in the template. 0 lets the kernel choose. */
  listenPort?: number;
  /** The address to listen on, default: as in the template. */
  listenHost?: string;
  /** The pluginConfig. A string is handed to the filter as it is, an object as JSON; absent means no configuration. */
  configuration?: string | object;
  /** Whether returning 1 from the headers callback holds the headers (`request_headers: hold` needs true). Istio's WasmPlugin cannot set it. */
  allowOnHeadersStop?: boolean;
  /** What `xds.listener_direction` says. Default `inbound`. */
  direction?: "inbound" | "outbound";
  /** Envoy's `per_connection_buffer_limit_bytes`; Envoy's default is 1 MiB. */
  perConnectionBufferLimitBytes?: number;
  /** Whether trailers of HTTP/1.1 requests reach the filter; Envoy's default is to drop them. */
  http1Trailers?: boolean;
  /** Upgrade types that Envoy lets through, for example `websocket`. */
  upgrades?: string[];
  /** What happens when the VM traps or does not start. Default: as in the template. */
  failurePolicy?: "FAIL_CLOSED" | "FAIL_RELOAD";
  /** The environment variables of the filter's VM. Default: none. */
  environment?: VmEnvironment;
}

/** What a VM sees of the environment: variables with values of their own, and names of variables of Envoy's process. */
export interface VmEnvironment {
  values?: Readonly<Record<string, string>>;
  fromHost?: readonly string[];
}

/** What `buildBootstrap` takes. */
export interface BootstrapOptions {
  /** The template, a file of envoy/ without its extension. */
  template: "run" | "test";
  /** The compiled filter, as Envoy will find it. */
  wasmPath: string;
  upstream: Upstream;
  /** The guards, at least one; all of them lead to the same server. */
  guards: readonly GuardOptions[];
  adminPort?: number;
  adminHost?: string;
  /** Sent to the server instead of the client's Host header. */
  hostRewrite?: string;
  /** The file for the records of exchanges, where the template writes them. */
  auditLog?: string;
}

/** The parts of a bootstrap that are filled in; the rest is passed through. */
export interface Bootstrap {
  admin: { address: Address };
  static_resources: { listeners: Listener[]; clusters: Cluster[] };
  [member: string]: unknown;
}

/** A TCP address or a Unix socket, as `envoy.config.core.v3.Address`. */
export type Address = { socket_address: { address: string; port_value: number } } | { pipe: { path: string } };

/** The listener of one guard, as `envoy.config.listener.v3.Listener`. */
export interface Listener {
  name: string;
  address: Address;
  traffic_direction: string;
  per_connection_buffer_limit_bytes?: number;
  filter_chains: { filters: { name: string; typed_config: ConnectionManager }[] }[];
  [member: string]: unknown;
}

/** Envoy's `HttpConnectionManager`. */
export interface ConnectionManager {
  http_protocol_options: { enable_trailers?: boolean };
  http2_protocol_options?: { allow_connect?: boolean };
  upgrade_configs?: { upgrade_type: string }[];
  access_log: { typed_config: Record<string, unknown> }[];
  route_config: { virtual_hosts: { routes: { route: { cluster: string; host_rewrite_literal?: string } }[] }[] };
  http_filters: { name: string; typed_config: { config: PluginConfig } }[];
  [member: string]: unknown;
}

/** Envoy's `PluginConfig`: one filter instance of a Wasm module. */
export interface PluginConfig {
  name: string;
  failure_policy: string;
  vm_config: {
    runtime: string;
    code: { local: { filename: string } };
    environment_variables?: { host_env_keys?: string[]; key_values?: Record<string, string> };
  };
  configuration?: { "@type": string; value: string };
  allow_on_headers_stop_iteration?: boolean;
  [member: string]: unknown;
}

/** The server's cluster, as `envoy.config.cluster.v3.Cluster`. */
export interface Cluster {
  name: string;
  type: string;
  load_assignment: { endpoints: { lb_endpoints: { endpoint: { address: Address } }[] }[] };
  [member: string]: unknown;
}

/**
 * A bootstrap as an object of its own, which the caller may change further.
 * @throws Error when the template is not there or lacks a part that is filled in.
 */
export function buildBootstrap(options: BootstrapOptions): Bootstrap {
  const file = projectPath("envoy", `${options.template}.yaml`);
  const bootstrap = parse(readFileSync(file, "utf8")) as Bootstrap;
  const listener = only(bootstrap.static_resources.listeners, `${file}: listeners`);
  const cluster = only(bootstrap.static_resources.clusters, `${file}: clusters`);

  setTcpAddress(bootstrap.admin.address, options.adminHost, options.adminPort);
  setUpstream(cluster, options.upstream);
  bootstrap.static_resources.listeners = options.guards.map((guard) => {
    const copy = structuredClone(listener);
    setGuard(copy, guard, options.wasmPath);
    if (options.hostRewrite !== undefined) route(copy).host_rewrite_literal = options.hostRewrite;
    if (options.auditLog !== undefined) setAuditLog(copy, options.auditLog);
    return copy;
  });
  return bootstrap;
}

/** The connection manager of a guard's listener. */
export function connectionManager(listener: Listener): ConnectionManager {
  return only(only(listener.filter_chains, "filter_chains").filters, "filters").typed_config;
}

/** The plugin configuration of a guard's listener. */
export function pluginConfig(listener: Listener): PluginConfig {
  const filter = connectionManager(listener).http_filters.find((entry) => entry.name === "mcp-guard");
  if (filter === undefined) throw new Error(`listener ${listener.name} has no filter mcp-guard`);
  return filter.typed_config.config;
}

function setUpstream(cluster: Cluster, upstream: Upstream): void {
  const endpoint = only(only(cluster.load_assignment.endpoints, "endpoints").lb_endpoints, "lb_endpoints").endpoint;
  if ("socketPath" in upstream) {
    cluster.type = "STATIC";
    endpoint.address = { pipe: { path: upstream.socketPath } };
  } else {
    setTcpAddress(endpoint.address, upstream.host, upstream.port);
  }
}

function setGuard(listener: Listener, guard: GuardOptions, wasmPath: string): void {
  if (guard.name !== undefined) listener.name = guard.name;
  setTcpAddress(listener.address, guard.listenHost, guard.listenPort);
  listener.traffic_direction = guard.direction === "outbound" ? "OUTBOUND" : "INBOUND";
  if (guard.perConnectionBufferLimitBytes !== undefined) {
    listener.per_connection_buffer_limit_bytes = guard.perConnectionBufferLimitBytes;
  }
  const manager = connectionManager(listener);
  if (guard.http1Trailers !== undefined) manager.http_protocol_options.enable_trailers = guard.http1Trailers;
  if (guard.upgrades !== undefined) {
    manager.upgrade_configs = guard.upgrades.map((type) => ({ upgrade_type: type }));
    // RFC 8441: over HTTP/2 an upgrade is an extended CONNECT.
    manager.http2_protocol_options = { ...manager.http2_protocol_options, allow_connect: true };
  }
  const plugin = pluginConfig(listener);
  plugin.vm_config.code.local.filename = wasmPath;
  if (guard.failurePolicy !== undefined) plugin.failure_policy = guard.failurePolicy;
  if (guard.environment !== undefined) {
    const { values = {}, fromHost = [] } = guard.environment;
    plugin.vm_config.environment_variables = { host_env_keys: [...fromHost], key_values: { ...values } };
  }
  if (guard.allowOnHeadersStop !== undefined) plugin.allow_on_headers_stop_iteration = guard.allowOnHeadersStop;
  if (guard.configuration === undefined) {
    delete plugin.configuration;
  } else {
    const value = typeof guard.configuration === "string" ? guard.configuration : JSON.stringify(guard.configuration);
    plugin.configuration = { "@type": "type.googleapis.com/google.protobuf.StringValue", value };
  }
}

function setAuditLog(listener: Listener, file: string): void {
  const logger = connectionManager(listener).access_log.find(({ typed_config }) => typed_config.path !== "/dev/stdout");
  if (logger === undefined) throw new Error(`listener ${listener.name} writes no records`);
  logger.typed_config.path = file;
}

function route(listener: Listener): { host_rewrite_literal?: string } {
  const host = only(connectionManager(listener).route_config.virtual_hosts, "virtual_hosts");
  return only(host.routes, "routes").route;
}

function setTcpAddress(address: Address, host: string | undefined, port: number | undefined): void {
  if (!("socket_address" in address))
    throw new Error("the template names a Unix socket where a TCP address is filled in");
  if (host !== undefined) address.socket_address.address = host;
  if (port !== undefined) address.socket_address.port_value = port;
}

function only<T>(list: readonly T[], what: string): T {
  const [item] = list;
  if (item === undefined || list.length !== 1) throw new Error(`${what}: expected exactly one, found ${list.length}`);
  return item;
}
