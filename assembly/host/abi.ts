// The numbers of the Proxy-Wasm ABI 0.2.1 (proxy-wasm/spec, abi-versions/v0.2.1), and of Envoy's extension to it.

/** What a host function returns. */
export const enum Status {
  Ok = 0,
  NotFound = 1,
}

/** Where a body or a configuration stands. */
export const enum BufferId {
  RequestBody = 0,
  ResponseBody = 1,
  CallResponseBody = 4,
  PluginConfiguration = 7,
}

/** Header maps. */
export const enum MapId {
  RequestHeaders = 0,
  RequestTrailers = 1,
  ResponseHeaders = 2,
  CallResponseHeaders = 6,
}

export const enum LogLevel {
  Info = 2,
  Warn = 3,
  Error = 4,
}

export const enum MetricKind {
  Counter = 0,
  Gauge = 1,
  Histogram = 2,
}

/** What a callback returns (Envoy: `FilterHeadersStatus`, `FilterDataStatus`). */
export const enum Action {
  /** Goes on, and takes along what was held. */
  Continue = 0,
  /** Of headers: they wait. Without `allow_on_headers_stop_iteration` Envoy stops the whole stream instead. */
  HoldHeaders = 1,
  /** Of a body: it waits in Envoy, and the next call is given only what is new. */
  HoldBody = 2,
}

/** Of a body: it waits in Envoy, and all of it can be read and replaced until the request goes on. */
export const HOLD_WHOLE_BODY: Action = Action.HoldHeaders;

/** `xds.listener_direction` (Envoy: core.v3.TrafficDirection). */
export const enum ListenerDirection {
  Outbound = 2,
}
