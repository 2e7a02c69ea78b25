/**
 * A Proxy-Wasm host on Node: loads the compiled filter and runs it as a worker thread of a real Envoy does, without
 * sockets. It knows nothing of the filter's sources. The behaviour is that of Envoy 1.37.0 to 1.40.0; the table in
 * `test/abi` runs on both hosts.
 */

export { type HeaderInput, HeaderMap, type HeaderPair } from "./header-map.ts";
export { HostError, type HostErrorCode } from "./host-error.ts";
export type { HttpCall, HttpCallAnswer } from "./http-call.ts";
export type { LocalReply } from "./local-reply.ts";
export type { LogLevel, LogLine } from "./machine.ts";
export { Metrics, type MetricType } from "./metrics.ts";
export { Plugin, type PluginOptions } from "./plugin.ts";
export type { PropertyValue } from "./properties.ts";
export type { DownstreamView, UpstreamView } from "./sink.ts";
export { Status } from "./status.ts";
export type { HttpStream } from "./stream.ts";
export type { StreamOptions } from "./stream-context.ts";
export { Vm, type VmOptions } from "./vm.ts";
