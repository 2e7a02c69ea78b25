/** The callbacks of the probe that a script can be given for. */
export type ProbeCallback =
  | "configure"
  | "tick"
  | "request_headers"
  | "request_body"
  | "request_trailers"
  | "response_headers"
  | "response_body"
  | "response_trailers"
  | "http_call"
  | "log"
  | "done"
  | "delete";

/** What the client does after it has sent the headers. */
export type ClientAction =
  | { readonly body: string }
  | { readonly end: true }
  | { readonly trailers: Readonly<Record<string, string>> }
  /** The timer fires. */
  | { readonly tick: true }
  | { readonly disconnect: true }
  /** The oldest HTTP call to a cluster ends, as the cluster has it. */
  | { readonly called: ClusterName }
  /** Not an action: what the server has seen of the request at this point. */
  | { readonly serverHas: Outcome["server"] };

/** What can be observed of one exchange, the same on both hosts. */
export interface Outcome {
  /** One line per callback and per action of the probe that reports something, in order. */
  readonly calls: readonly string[];
  /** `waits`: no response began. `cut`: the response began and was broken off. */
  readonly client:
    | "waits"
    | { readonly status: number; readonly contentType: string; readonly body: string; readonly cut: boolean };
  readonly server: "nothing" | { readonly body: string; readonly ended: boolean };
  /** The HTTP calls that have reached a server, as method, path and body, sorted. None: left out. */
  readonly called?: readonly string[];
  /** The access log entry; `missing` while the stream has not ended. `property` is filter state `wasm.probe`. */
  readonly log: "missing" | { readonly code: number; readonly details: string; readonly property: string | null };
}

/** One row: a behaviour of Envoy that a guard relies on. */
export interface Row {
  /** A sentence: what Envoy does. */
  readonly name: string;
  /** Per callback the steps of its calls; see assembly/probe.ts for the actions. */
  readonly probe: Partial<Record<ProbeCallback, readonly string[]>>;
  readonly listener?: {
    /** `allow_on_headers_stop_iteration`. */
    readonly headersStop?: boolean;
    /** `per_connection_buffer_limit_bytes`. */
    readonly bufferLimitBytes?: number;
    /** `http_protocol_options.enable_trailers`. */
    readonly trailers?: boolean;
    readonly direction?: 1 | 2;
    /** `vm_config.environment_variables.key_values`. */
    readonly environment?: Readonly<Record<string, string>>;
  };
  readonly request: {
    readonly protocol?: "h1" | "h2";
    readonly method?: string;
    /** How the body is delimited on HTTP/1.1; with `none` the headers end the request. */
    readonly framing: "none" | "length" | "chunked";
    readonly headers?: readonly (readonly [name: string, value: string])[];
  };
  readonly client?: readonly ClientAction[];
  /** `headers`: the server answers as soon as it has the headers. Default: at the end of the request. */
  readonly serverAnswersAt?: "headers" | "end";
  readonly expect: Outcome;
}

/** The server's answer in every row. */
export const SERVER_ANSWER = { status: 200, contentType: "text/plain", body: "origin" } as const;

/** The clusters whose calls reach the server, by what it makes of them. */
export const SERVED_CLUSTERS = ["answers", "trails", "sleeps", "drops", "cuts", "stalls"] as const;
/** All clusters that the probe can call: `refuses` takes no connection, `empty` has no host, `full` an open breaker. */
export const CLUSTERS = [...SERVED_CLUSTERS, "refuses", "empty", "full"] as const;
export type ClusterName = (typeof CLUSTERS)[number];

/** The answer to an HTTP call. */
export const CALL_ANSWER = { status: 201, headers: { "x-answer": "yes" }, body: "stored" } as const;

/** The configuration of the probe for a row. */
export function probeConfiguration(row: Row, label: string): string {
  const scripts = Object.entries(row.probe).map(([callback, steps]) => [callback, ...steps].join("\t"));
  return [`row\t${label}`, ...(row.probe.tick ? ["period\t200"] : []), ...scripts].join("\n");
}

/** The length that a body framed by Content-Length announces. */
export function contentLength(row: Row): number {
  return (row.client ?? []).reduce((bytes, action) => bytes + ("body" in action ? action.body.length : 0), 0);
}

/** Whether the headers are the whole request. */
export function headersEndRequest(row: Row): boolean {
  return row.request.framing === "none" || (row.request.framing === "length" && contentLength(row) === 0);
}
