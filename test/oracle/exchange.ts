// The reference verdict on one HTTP request: what is decided by its method and headers, then by the length of its body,
// then by the body itself. Like `faults` for bodies it also gives every reason that would be justified.

import { faults, type MessagePolicy, type MessageReason } from "./message.ts";

export type RequestReason =
  | MessageReason
  | "http_method"
  | "http_upgrade"
  | "body_unexpected"
  | "body_missing"
  | "body_too_large"
  | "content_type"
  | "content_encoding"
  | "origin_not_allowed"
  | "host_not_allowed";

/** One HTTP request as a client sends it. */
export interface HttpRequest {
  readonly method: string;
  /** The raw `:path`. */
  readonly path: string;
  /** In order, names in any case, repeated where the client repeats them. `content-length` only if it is a lie. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array;
  /** Fields after the body; absent: the body ends without. */
  readonly trailers?: readonly (readonly [name: string, value: string])[];
  /** Absent: the request must be judged alike on both. */
  readonly protocol?: "h1" | "h2";
  /**
   * How the body travels: `length` in one piece (HTTP/1.1: with Content-Length), the default; `chunked` in one piece of
   * undeclared length; `bytes` one byte in each chunk or DATA frame; `headers_only` the headers end the request.
   */
  readonly framing?: "length" | "chunked" | "bytes" | "headers_only";
}

/** What decides about a request besides the body's policy. */
export interface RequestPolicy extends MessagePolicy {
  readonly allowed_origins?: readonly string[];
  /** Absent: any. */
  readonly allowed_hosts?: readonly string[];
  readonly limits?: NonNullable<MessagePolicy["limits"]> & { readonly body_bytes?: number };
}

/** The `:authority` of a request whose headers have none. */
export const HOST_DEFAULT = "mcp.example";

export const BODY_BYTES_DEFAULT = 1_000_000;

const BODILESS_METHODS = new Set(["GET", "HEAD", "DELETE", "OPTIONS"]);

/** JSON-RPC over HTTP is one media type; the only parameter with a meaning that cannot mislead is its own encoding. */
const CONTENT_TYPE = /^application\/json(?:[ \t]*;[ \t]*charset=(?:utf-8|"utf-8"))?$/i;

/** Every reason for which this request may be refused, those of the headers first; empty if it must pass. */
export function requestFaults(request: HttpRequest, policy: RequestPolicy): Set<RequestReason> {
  return new Set(findFaults(request, policy));
}

function* findFaults(request: HttpRequest, policy: RequestPolicy): Generator<RequestReason> {
  const values = (name: string): readonly string[] =>
    request.headers.filter(([field]) => field.toLowerCase() === name).map(([, value]) => value.trim());
  const hasBody = bodyFollows(request);

  if (isUpgrade(request, values)) yield "http_upgrade";
  yield* sourceFaults(request, policy, values);
  if (BODILESS_METHODS.has(request.method)) {
    if (hasBody) yield "body_unexpected";
    return;
  }
  if (request.method !== "POST") {
    yield "http_method";
    return;
  }

  const contentTypes = values("content-type");
  if (contentTypes.length !== 1 || !CONTENT_TYPE.test(contentTypes[0]!)) yield "content_type";
  if (values("content-encoding").some((coding) => coding !== "" && coding.toLowerCase() !== "identity"))
    yield "content_encoding";

  if (request.body.length === 0) yield "body_missing";
  if (!hasBody) return;

  const cap = policy.limits?.body_bytes ?? BODY_BYTES_DEFAULT;
  const declared = values("content-length").map(Number);
  if (declared.some((length) => length > cap)) yield "body_too_large";
  if (request.body.length <= cap) {
    yield* faults(request.body, policy, request.headers);
    return;
  }
  // The body is refused where it crosses the cap; only what is final before that point may come first.
  yield "body_too_large";
  for (const reason of faults(request.body.subarray(0, cap), policy)) {
    if (reason === "batch" || reason === "near_name" || (reason.startsWith("json_") && reason !== "json_incomplete"))
      yield reason;
  }
}

/** DNS rebinding (MCP, Streamable HTTP, "Security warning"): a browser says on whose behalf it asks, and whom. */
function* sourceFaults(
  request: HttpRequest,
  { allowed_origins: allowedOrigins = [], allowed_hosts: allowedHosts }: RequestPolicy,
  values: (name: string) => readonly string[],
): Generator<RequestReason> {
  const origins = values("origin");
  // The answer to a preflight is the server's; the request behind it comes with its origin again.
  if (request.method !== "OPTIONS" && origins.length > 0) {
    if (origins.length > 1 || !allowedOrigins.includes(origins[0]!)) yield "origin_not_allowed";
  }
  if (allowedHosts === undefined) return;
  // RFC 3986 section 3.2.2: hosts have no case. An entry without a port stands for any.
  const [host = ""] = [...values(":authority"), ...values("host"), HOST_DEFAULT].map((name) => name.toLowerCase());
  const listed = allowedHosts.map((name) => name.toLowerCase());
  if (!listed.includes(host) && !listed.includes(host.replace(/:[0-9]+$/, ""))) yield "host_not_allowed";
}

/** Whether anything follows the headers. A declared length of 0 ends the request with them, an empty chunked body not. */
function bodyFollows({ body, framing = "length", trailers }: HttpRequest): boolean {
  return framing !== "headers_only" && (body.length > 0 || framing !== "length" || trailers !== undefined);
}

function isUpgrade(request: HttpRequest, values: (name: string) => readonly string[]): boolean {
  return (
    request.method === "CONNECT" ||
    values("upgrade").length > 0 ||
    values(":protocol").length > 0 ||
    values("connection").some((value) =>
      value
        .toLowerCase()
        .split(/[ \t]*,[ \t]*/)
        .includes("upgrade"),
    )
  );
}
