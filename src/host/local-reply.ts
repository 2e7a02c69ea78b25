import { HeaderMap, type HeaderPair } from "./header-map.ts";

/** What `proxy_send_local_response` asks for. */
export interface LocalReply {
  readonly status: number;
  /** `%RESPONSE_CODE_DETAILS%`, white space already replaced by underscores. */
  readonly details: string;
  /** The headers that the module gave, without those that Envoy adds. */
  readonly headers: readonly HeaderPair[];
  readonly body: Uint8Array;
}

/** The headers of a local reply: the module's, with the length and, where it gave none, the type that Envoy adds. */
export function replyHeaders(reply: LocalReply): HeaderMap {
  const headers = new HeaderMap([[":status", String(reply.status)], ...reply.headers]);
  if (reply.body.length === 0) {
    headers.remove("content-length");
    headers.remove("content-type");
    return headers;
  }
  headers.replace("content-length", String(reply.body.length));
  if (headers.get("content-type") === undefined) headers.add("content-type", "text/plain");
  return headers;
}

/** A reply that Envoy sends by itself. */
export function ownReply(status: number, details: string, text: string): LocalReply {
  return { status, details, headers: [], body: Buffer.from(text) };
}
