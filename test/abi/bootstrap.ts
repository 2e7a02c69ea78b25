import { probeConfiguration, type Row, SERVED_CLUSTERS } from "./row.ts";

const TYPE = "type.googleapis.com/envoy.extensions";
const LOOPBACK = "127.0.0.1";
/** Nothing listens there (tcpmux). */
const REFUSING_PORT = 1;

/** An Envoy bootstrap with one listener per row (by its label, on a free port), all of them leading to one server. */
export function bootstrapFor(rows: ReadonlyMap<string, Row>, wasmPath: string, originPort: number): object {
  return {
    admin: { address: socketAddress(0) },
    static_resources: {
      listeners: [...rows].map(([label, row]) => listener(label, row, wasmPath)),
      clusters: [
        cluster("origin", [originPort]),
        ...SERVED_CLUSTERS.map((name) => cluster(name, [originPort], name === "trails" ? RESPONSE_TRAILERS : {})),
        cluster("refuses", [REFUSING_PORT]),
        cluster("empty", []),
        cluster("full", [originPort], { circuit_breakers: { thresholds: [{ max_pending_requests: 0 }] } }),
      ],
    },
  };
}

const RESPONSE_TRAILERS = {
  typed_extension_protocol_options: {
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
      "@type": `${TYPE}.upstreams.http.v3.HttpProtocolOptions`,
      explicit_http_config: { http_protocol_options: { enable_trailers: true } },
    },
  },
};

function cluster(name: string, ports: readonly number[], options: object = {}): object {
  const endpoints = ports.map((port) => ({ lb_endpoints: [{ endpoint: { address: socketAddress(port) } }] }));
  return { name, type: "STATIC", load_assignment: { cluster_name: name, endpoints }, ...options };
}

function listener(label: string, row: Row, wasmPath: string): object {
  const { headersStop = false, bufferLimitBytes, trailers = false, direction = 1 } = row.listener ?? {};
  return {
    name: label,
    address: socketAddress(0),
    traffic_direction: direction === 1 ? "INBOUND" : "OUTBOUND",
    ...(bufferLimitBytes === undefined ? {} : { per_connection_buffer_limit_bytes: bufferLimitBytes }),
    filter_chains: [{ filters: [connectionManager(label, row, headersStop, trailers, wasmPath)] }],
  };
}

function connectionManager(label: string, row: Row, headersStop: boolean, trailers: boolean, wasmPath: string): object {
  return {
    name: "http",
    typed_config: {
      "@type": `${TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
      stat_prefix: label,
      http_protocol_options: { enable_trailers: trailers },
      access_log: [accessLog(label)],
      route_config: {
        virtual_hosts: [
          { name: "all", domains: ["*"], routes: [{ match: { prefix: "/" }, route: { cluster: "origin" } }] },
        ],
      },
      http_filters: [
        wasmFilter(label, row, headersStop, wasmPath),
        { name: "router", typed_config: { "@type": `${TYPE}.filters.http.router.v3.Router` } },
      ],
    },
  };
}

function accessLog(label: string): object {
  return {
    name: "stdout",
    typed_config: {
      "@type": `${TYPE}.access_loggers.stream.v3.StdoutAccessLog`,
      log_format: {
        json_format: {
          row: label,
          response_code: "%RESPONSE_CODE%",
          response_code_details: "%RESPONSE_CODE_DETAILS%",
          property: "%FILTER_STATE(wasm.probe:PLAIN)%",
        },
      },
    },
  };
}

function wasmFilter(label: string, row: Row, headersStop: boolean, wasmPath: string): object {
  return {
    name: "probe",
    typed_config: {
      "@type": `${TYPE}.filters.http.wasm.v3.Wasm`,
      config: {
        name: label,
        root_id: label,
        failure_policy: "FAIL_CLOSED",
        allow_on_headers_stop_iteration: headersStop,
        // A VM of its own for each row: a trap ends one row's VM only.
        vm_config: {
          vm_id: label,
          runtime: "envoy.wasm.runtime.v8",
          code: { local: { filename: wasmPath } },
          ...(row.listener?.environment === undefined
            ? {}
            : { environment_variables: { key_values: row.listener.environment } }),
        },
        configuration: {
          "@type": "type.googleapis.com/google.protobuf.StringValue",
          value: probeConfiguration(row, label),
        },
      },
    },
  };
}

function socketAddress(port: number): object {
  return { socket_address: { address: LOOPBACK, port_value: port } };
}
