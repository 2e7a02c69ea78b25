// What servers send, and what a client may see of it: by the headers of the response, by the messages in it, and by the framing
// of event streams. Each outcome is written by hand from docs/responses.md.

import { gzipSync } from "node:zlib";
import { MESSAGE_VECTORS } from "./responses-messages.ts";
import { STREAM_VECTORS } from "./responses-streams.ts";
import {
  answer,
  body,
  type Changes,
  frame,
  jsonOutcome,
  type ResponseVector,
  response,
  stream,
} from "./responses-vector.ts";

const LISTS = answer('{"tools":[{"name":"evil"},{"name":"safe"}]}');
const SEEN = answer('{"tools":[{"name":"safe"}]}');
const GET: Changes = { exchange: { method: "GET" } };
/** Somebody who is no client of the protocol. */
const PAGE: Changes = { exchange: { method: "GET", accept: "text/html, */*;q=0.8" } };

const untouched = (row: string, name: string, text: Uint8Array | string, changes: Changes): ResponseVector =>
  response(
    row,
    name,
    text,
    { kind: "untouched" },
    {
      headers: [
        ["content-length", String(text.length)],
        ["etag", '"1"'],
      ],
      ...changes,
    },
  );
const refused = (
  row: string,
  name: string,
  text: Uint8Array | string,
  reason: string,
  changes: Changes,
): ResponseVector => response(row, name, text, { kind: "refused", reason }, changes);

const BINARY = Uint8Array.from({ length: 300_000 }, (_, index) => (index * 31 + (index >> 8)) & 0xff);

const READ: readonly ResponseVector[] = [
  ...[
    "application/json",
    "Application/JSON",
    "application/json; charset=utf-8",
    "application/json;x=y",
    " application/json ",
    "application/vnd.x+json",
    "APPLICATION/X+JSON;v=1",
    null,
  ].flatMap((contentType) => [
    body("threats 28 media types", `${contentType}`, LISTS, [SEEN], { contentType }),
    body("threats 28 media types", `${contentType} to GET`, LISTS, [SEEN], { contentType, ...GET }),
  ]),
  ...["text/event-stream", "Text/Event-Stream", "text/event-stream; charset=utf-8", "text/event-stream;x"].flatMap(
    (contentType) => [
      stream("threats 28 media types", contentType, frame(LISTS), [{ data: SEEN }], { contentType }),
      stream("threats 28 media types", `${contentType} to GET`, frame(LISTS), [{ data: SEEN }], {
        contentType,
        ...GET,
      }),
    ],
  ),
  ...[201, 202, 206, 299, 301, 400, 401, 403, 404, 405, 409, 429, 500, 503].flatMap((status) => [
    body("field-lessons/6.2 statuses", `JSON with ${status}`, LISTS, [SEEN], { status }),
    stream("field-lessons/6.2 statuses", `events with ${status}`, frame(LISTS), [{ data: SEEN }], { status }),
  ]),
  body("field-lessons/6.2 gzip", "identity", LISTS, [SEEN], { headers: [["content-encoding", "identity"]] }),
  body("field-lessons/6.2 gzip", "Identity", LISTS, [SEEN], { headers: [["content-encoding", "Identity"]] }),
  body(
    "statuses",
    "an error body with 400",
    '{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Bad Request"}}',
    ['{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Bad Request"}}'],
    { status: 400 },
  ),
  // No JSON-RPC and not strict: what a server behind a wrong type sends must not pass unread.
  response(
    "statuses",
    "no JSON with 500",
    "Internal Server Error",
    { kind: "json", outcomes: [jsonOutcome({ reasons: ["response_invalid"], ids: [undefined] })] },
    { status: 500 },
  ),
];

const REFUSED: readonly ResponseVector[] = [
  ...[
    "text/plain",
    "text/html",
    "application/octet-stream",
    "text/json",
    "application/jsonx",
    "application/x-ndjson",
    "application/json-seq",
    "multipart/mixed; boundary=application/json",
    "image/svg+xml",
    "text/x+json",
  ].map((contentType) =>
    refused("field-lessons/6.2 content type", `${contentType} to POST`, LISTS, "response_type", { contentType }),
  ),
  ...[201, 206, 302].map((status) =>
    refused("field-lessons/6.2 content type", `text/plain with ${status} to POST`, LISTS, "response_type", {
      contentType: "text/plain",
      status,
    }),
  ),
  // Clients take the answer to the GET that opens their stream for one, whatever its type says.
  ...["text/event-stream", "application/json;q=0.9,Text/Event-Stream;q=0.1", "*/*, text/event-stream"].flatMap(
    (accept) =>
      ["text/plain", "application/octet-stream", "text/event-streams"].map((contentType) =>
        refused(
          "field-lessons/6.2 content type",
          `${contentType} to GET with Accept: ${accept}`,
          LISTS,
          "response_type",
          {
            contentType,
            exchange: { method: "GET", accept },
          },
        ),
      ),
  ),
  ...["gzip", "GZIP", "br", "deflate", "zstd", "gzip, identity", "identity, gzip", "aws-chunked", "x"].flatMap(
    (coding) => [
      refused("field-lessons/6.2 gzip", `${coding} to POST`, gzipSync(LISTS), "response_encoded", {
        headers: [["content-encoding", coding]],
      }),
      refused("field-lessons/6.2 gzip", `${coding} to GET`, gzipSync(frame(LISTS)), "response_encoded", {
        headers: [["content-encoding", coding]],
        contentType: "text/event-stream",
        ...GET,
      }),
    ],
  ),
  refused("field-lessons/6.2 gzip", "two headers", LISTS, "response_encoded", {
    headers: [
      ["content-encoding", "identity"],
      ["content-encoding", "gzip"],
    ],
  }),
  refused("field-lessons/6.2 gzip", "gzip without a type", gzipSync(LISTS), "response_encoded", {
    headers: [["content-encoding", "gzip"]],
    contentType: null,
  }),
  refused("field-lessons/6.2 gzip", "gzip with 404", gzipSync(LISTS), "response_encoded", {
    headers: [["content-encoding", "gzip"]],
    status: 404,
  }),
];

const UNTOUCHED: readonly ResponseVector[] = [
  untouched("untouched", "a health page", "ok\n", { contentType: "text/plain", ...PAGE }),
  untouched("untouched", "a page that is not found", "<!doctype html><title>404</title>", {
    contentType: "text/html; charset=utf-8",
    status: 404,
    ...PAGE,
  }),
  untouched("untouched", "a page with 405 to the GET that opens a stream", "<!doctype html><title>405</title>", {
    contentType: "text/html",
    status: 405,
    ...GET,
  }),
  untouched("untouched", "a page to POST with 404", "<!doctype html><title>404</title>", {
    contentType: "text/html",
    status: 404,
  }),
  untouched("untouched", "plain text to POST with 400", "Bad Request: no session", {
    contentType: "text/plain",
    status: 400,
  }),
  untouched("untouched", "plain text to POST with 502", "upstream", {
    contentType: "text/plain; charset=utf-8",
    status: 502,
  }),
  untouched("untouched", "metrics", '# HELP x y\nx{a="evil"} 1\n', {
    contentType: "text/plain; version=0.0.4",
    ...PAGE,
  }),
  untouched("untouched", "a download", BINARY, { contentType: "application/octet-stream", ...PAGE }),
  untouched("untouched", "a download that is encoded", gzipSync(BINARY), {
    contentType: "text/javascript",
    headers: [
      ["content-encoding", "gzip"],
      ["etag", 'W/"2"'],
    ],
    ...PAGE,
  }),
  untouched("untouched", "text/json to GET", LISTS, { contentType: "text/json", ...PAGE }),
  untouched("untouched", "an image", BINARY.subarray(0, 999), { contentType: "image/png", ...PAGE }),
];

export const RESPONSE_VECTORS: readonly ResponseVector[] = [
  ...READ,
  ...REFUSED,
  ...UNTOUCHED,
  ...MESSAGE_VECTORS,
  ...STREAM_VECTORS,
];
