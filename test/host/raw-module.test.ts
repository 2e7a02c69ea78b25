// What no host should do. Goal: a callback for a context that was never created refuses, and so does a host result that is
// not what it says it is.

import { describe, expect, test } from "vitest";
import { sipHash13 } from "../unit/sip-hash.ts";
import type { Build } from "./guard.ts";
import { encodeHeaders, RANDOM, type RawModule, startRaw } from "./raw-module.ts";

const HOLD_HEADERS = 1;
const HOLD_BODY = 2;
const ROOT = 1;
const STREAM = 2;
const CONFIGURATION = Buffer.from('{"tool_allowlist":["safe"]}');
const SAFE = Buffer.from('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"safe"}}');

const POST = [
  [":method", "POST"],
  [":path", "/mcp"],
  ["content-type", "application/json"],
] as const;

/** A module with one configured guard. */
function configured(build: Build): RawModule {
  const raw = startRaw(build);
  raw.call.proxy_on_context_create!(ROOT, 0);
  expect(raw.call.proxy_on_vm_start!(ROOT, 0)).toBe(1);
  raw.give.buffer = { bytes: CONFIGURATION };
  expect(raw.call.proxy_on_configure!(ROOT, CONFIGURATION.length)).toBe(1);
  raw.calls.length = 0;
  return raw;
}

/** ... and one stream, whose headers have been read. */
function reading(build: Build): RawModule {
  const raw = configured(build);
  raw.call.proxy_on_context_create!(STREAM, ROOT);
  raw.give.headers = { bytes: encodeHeaders(POST) };
  expect(raw.call.proxy_on_request_headers!(STREAM, POST.length, 0)).toBe(0);
  expect(raw.replies).toEqual([]);
  return raw;
}

describe.each(["release", "debug"] as const)("%s build", (build) => {
  describe("a stream that was never created", () => {
    test("at all", () => {
      const raw = configured(build);
      expect(raw.call.proxy_on_request_headers!(99, 0, 0)).toBe(HOLD_HEADERS);
      expect(raw.replies).toEqual([
        {
          status: 503,
          details: "mcp_guard.overloaded",
          body: expect.stringMatching(/^\{"jsonrpc":"2.0","error":\{"code":-32603,"message":"[^"]+"\}\}$/),
        },
      ]);
      expect(raw.call.proxy_on_request_body!(99, 10, 1)).toBe(HOLD_BODY);
      expect(raw.call.proxy_on_request_trailers!(99, 0)).toBe(HOLD_HEADERS);
      // Its own reply comes back through this callback and must reach the client.
      expect(raw.call.proxy_on_response_headers!(99, 0, 0)).toBe(0);
      raw.call.proxy_on_log!(99);
      raw.call.proxy_on_delete!(99);
      raw.call.proxy_on_tick!(99);
    });

    test("of a guard that was never created", () => {
      const raw = configured(build);
      raw.call.proxy_on_context_create!(STREAM, 77);
      expect(raw.call.proxy_on_request_headers!(STREAM, 0, 0)).toBe(HOLD_HEADERS);
      expect(raw.replies.map(({ details }) => details)).toEqual(["mcp_guard.overloaded"]);
    });
  });

  test("a configuration of a guard that was never created is refused", () => {
    expect(startRaw(build).call.proxy_on_configure!(99, 0)).toBe(0);
  });

  test("a stream of a guard without a configuration is refused", () => {
    const raw = startRaw(build);
    raw.call.proxy_on_context_create!(ROOT, 0);
    raw.call.proxy_on_vm_start!(ROOT, 0);
    raw.call.proxy_on_context_create!(STREAM, ROOT);
    expect(raw.call.proxy_on_request_headers!(STREAM, 0, 0)).toBe(HOLD_HEADERS);
    expect(raw.replies.map(({ details, status }) => [details, status])).toEqual([["mcp_guard.config_invalid", 503]]);
    expect(raw.call.proxy_on_request_body!(STREAM, 10, 1)).toBe(HOLD_BODY);
    expect(raw.call.proxy_on_request_trailers!(STREAM, 0)).toBe(HOLD_HEADERS);
  });

  test("a second configuration that is refused leaves the first in force", () => {
    const raw = configured(build);
    raw.give.buffer = { bytes: Buffer.from('{"tool_allowlist":["evil"]') };
    expect(raw.call.proxy_on_configure!(ROOT, raw.give.buffer.bytes.length)).toBe(0);
    raw.give.headers = { bytes: encodeHeaders(POST) };
    for (const [tool, action] of [
      ["safe", 0],
      ["evil", HOLD_BODY],
    ] as const) {
      const body = Buffer.from(SAFE.toString().replace("safe", tool));
      raw.call.proxy_on_context_create!(STREAM, ROOT);
      raw.call.proxy_on_request_headers!(STREAM, POST.length, 0);
      raw.give.buffer = { bytes: body };
      expect(raw.call.proxy_on_request_body!(STREAM, body.length, 1)).toBe(action);
      raw.call.proxy_on_delete!(STREAM);
    }
  });

  test("a second configuration takes the place of the first; a stream that was being read is refused", () => {
    // Read under the one policy and judged under the other it would pass: the first has no rule for the argument.
    const rules = '"argument_rules":[{"tool":"safe","pointer":"/path","rule":"path"}]';
    const next = Buffer.from(`{"tool_allowlist":["safe","other"],${rules},"limits":{"depth":5,"key_bytes":1000}}`);
    const body = Buffer.from(SAFE.toString().replace("}}", ',"arguments":{"path":"../x"}}}'));
    for (const readBefore of [0, 20, body.length]) {
      const raw = reading(build);
      if (readBefore > 0) {
        raw.give.buffer = { bytes: body.subarray(0, readBefore) };
        expect(raw.call.proxy_on_request_body!(STREAM, readBefore, 0)).toBe(HOLD_BODY);
      }
      raw.give.buffer = { bytes: next };
      expect(raw.call.proxy_on_configure!(ROOT, next.length)).toBe(1);
      if (readBefore < body.length) {
        raw.give.buffer = { bytes: body.subarray(readBefore) };
        expect(raw.call.proxy_on_request_body!(STREAM, body.length - readBefore, 1)).toBe(HOLD_BODY);
      } else {
        expect(raw.call.proxy_on_request_trailers!(STREAM, 0)).toBe(HOLD_HEADERS);
      }
      expect(raw.replies.map(({ details }) => details)).toEqual(["mcp_guard.internal"]);
    }
    const raw = reading(build);
    raw.call.proxy_on_delete!(STREAM);
    raw.give.buffer = { bytes: next };
    expect(raw.call.proxy_on_configure!(ROOT, next.length)).toBe(1);
    // A record for the new bounds, not the spare one of the old.
    const key = Buffer.from(
      SAFE.toString()
        .replace("}}", `,"${"k".repeat(1000)}":1}}`)
        .replace("safe", "other"),
    );
    raw.call.proxy_on_context_create!(STREAM, ROOT);
    raw.call.proxy_on_request_headers!(STREAM, POST.length, 0);
    raw.give.buffer = { bytes: key };
    expect(raw.call.proxy_on_request_body!(STREAM, key.length, 1)).toBe(0);
  });

  test("a second configuration that only watches lets go of a stream that was held under the first", () => {
    const raw = reading(build);
    const next = Buffer.from('{"tool_allowlist":["other"],"mode":"monitor"}');
    raw.give.buffer = { bytes: next };
    expect(raw.call.proxy_on_configure!(ROOT, next.length)).toBe(1);
    raw.give.buffer = { bytes: SAFE };
    expect(raw.call.proxy_on_request_body!(STREAM, SAFE.length, 1)).toBe(0);
    // The watchdog does not find it either.
    for (let tick = 0; tick < 10; tick++) raw.call.proxy_on_tick!(ROOT);
    expect(raw.replies).toEqual([]);
  });

  test("a second configuration: a response that is only watched goes on, one that is filtered is cut", () => {
    const watching = Buffer.from('{"tool_allowlist":["safe"],"mode":"monitor"}');
    for (const [first, second, details] of [
      [watching, CONFIGURATION, []],
      [CONFIGURATION, watching, ["mcp_guard.internal"]],
    ] as const) {
      const raw = reading(build);
      for (const configuration of [first, second]) {
        raw.give.buffer = { bytes: configuration };
        expect(raw.call.proxy_on_configure!(ROOT, configuration.length)).toBe(1);
        if (configuration === second) break;
        raw.call.proxy_on_delete!(STREAM);
        raw.call.proxy_on_context_create!(STREAM, ROOT);
        raw.call.proxy_on_request_headers!(STREAM, POST.length, 0);
        raw.give.buffer = { bytes: SAFE };
        expect(raw.call.proxy_on_request_body!(STREAM, SAFE.length, 1)).toBe(0);
        expect(raw.call.proxy_on_response_headers!(STREAM, POST.length, 0)).toBe(0);
      }
      raw.give.buffer = { bytes: SAFE };
      expect(raw.call.proxy_on_response_body!(STREAM, SAFE.length, 0)).toBe(details.length === 0 ? 0 : HOLD_BODY);
      expect(raw.replies.map((reply) => reply.details)).toEqual(details);
    }
  });

  describe("a second configuration that redacts something else, or nothing", () => {
    const policy = (audit: object): Buffer => Buffer.from(JSON.stringify({ tool_allowlist: ["safe"], audit }));
    const SECRET = "canary-7e1f";
    const call = Buffer.from(SAFE.toString().replace("}}", `,"arguments":{"key":"${SECRET}"}}}`));
    const result = Buffer.from(`[{"jsonrpc":"2.0","id":1,"result":{"key":"${SECRET}"}},`);
    /** A stream under the first policy up to a step; then the second comes, and the stream ends. Its record. */
    const recordOf = (first: object, second: object, steps: (raw: RawModule) => void): string => {
      const raw = startRaw(build);
      raw.call.proxy_on_context_create!(ROOT, 0);
      raw.call.proxy_on_vm_start!(ROOT, 0);
      const configure = (bytes: Buffer): void => {
        raw.give.buffer = { bytes };
        expect(raw.call.proxy_on_configure!(ROOT, bytes.length)).toBe(1);
      };
      configure(policy(first));
      raw.call.proxy_on_context_create!(STREAM, ROOT);
      raw.give.headers = { bytes: encodeHeaders(POST) };
      raw.call.proxy_on_request_headers!(STREAM, POST.length, 0);
      raw.give.buffer = { bytes: call };
      steps(raw);
      configure(policy(second));
      raw.give.buffer = { bytes: Buffer.from(" ") };
      raw.call.proxy_on_request_body!(STREAM, 1, 1);
      raw.call.proxy_on_response_body!(STREAM, 1, 1);
      raw.call.proxy_on_log!(STREAM);
      expect(raw.records).toHaveLength(1);
      return raw.records[0]!;
    };
    const arguments_ = (redact: string): object => ({ arguments: "redacted", redact: [redact] });
    const response = (pointer: string): object => ({ response: "redacted", redact_response: [pointer] });
    const read = (raw: RawModule): void => void raw.call.proxy_on_request_body!(STREAM, call.length, 0);
    const answered = (raw: RawModule): void => {
      raw.call.proxy_on_request_body!(STREAM, call.length, 1);
      raw.call.proxy_on_response_headers!(STREAM, POST.length, 0);
      raw.give.buffer = { bytes: result };
      raw.call.proxy_on_response_body!(STREAM, result.length, 0);
    };

    test.each([
      ["arguments, others", arguments_("/key"), arguments_("/other"), read],
      ["arguments, none", arguments_("/key"), { arguments: "full" }, read],
      ["an answer, others", response("/result/key"), response("/result/other"), answered],
      ["an answer, none", response("/result/key"), { response: "full" }, answered],
    ])("shows nothing of what was read before: %s", (_what, first, second, steps) => {
      expect(recordOf(first, second, steps)).not.toContain(SECRET);
    });

    test("keeps no more than it may of arguments of which more was kept before", () => {
      const long = (bytes: number) => ({ arguments: "full", record_bytes: bytes });
      const piece = Buffer.from(SAFE.toString().replace("}}", `,"arguments":{"key":"${"k".repeat(30_000)}`));
      const record = recordOf(long(65_536), long(16_384), (raw) => {
        raw.give.buffer = { bytes: piece };
        raw.call.proxy_on_request_body!(STREAM, piece.length, 0);
      });
      expect(record).not.toContain("kkkk");
      expect(record.length).toBeLessThan(16_384);
    });

    test("names no digest of arguments that were read before", () => {
      expect(recordOf({ arguments: "none" }, { arguments: "digest" }, read)).not.toContain("arguments.sha256");
    });
  });

  test("body and trailers without headers are refused", () => {
    for (const first of ["proxy_on_request_body", "proxy_on_request_trailers"]) {
      const raw = configured(build);
      raw.call.proxy_on_context_create!(STREAM, ROOT);
      expect(raw.call[first]!(STREAM, 0, 1)).not.toBe(0);
      expect(raw.replies.map(({ details }) => details)).toEqual(["mcp_guard.internal"]);
    }
  });

  describe("a body of which the host gives another length than it said", () => {
    test.each([0, 1, SAFE.length - 1, SAFE.length + 1, 0xffffffff])("%i bytes", (claimed) => {
      const raw = reading(build);
      raw.give.buffer = { bytes: SAFE, claimed };
      expect(raw.call.proxy_on_request_body!(STREAM, SAFE.length, 1)).toBe(HOLD_BODY);
      expect(raw.replies.map(({ details }) => details)).toEqual(["mcp_guard.internal"]);
    });
  });

  test("a configuration of another length than the host said is refused", () => {
    const raw = startRaw(build);
    raw.call.proxy_on_context_create!(ROOT, 0);
    raw.call.proxy_on_vm_start!(ROOT, 0);
    raw.give.buffer = { bytes: CONFIGURATION, claimed: CONFIGURATION.length - 1 };
    expect(raw.call.proxy_on_configure!(ROOT, CONFIGURATION.length)).toBe(0);
  });

  describe("headers that are no map", () => {
    const good = encodeHeaders(POST);
    const changed = (offset: number, value: number): Buffer => {
      const bytes = Buffer.from(good);
      bytes.writeUInt32LE(value, offset);
      return bytes;
    };

    test.each([
      ["nothing", Buffer.alloc(0)],
      ["three bytes", Buffer.alloc(3)],
      ["a count without sizes", Buffer.of(1, 0, 0, 0)],
      ["a count of 2^32-1", changed(0, 0xffffffff)],
      ["a count of 2^29", changed(0, 0x20000000)],
      ["one more than there are", changed(0, POST.length + 1)],
      ["a name beyond the end", changed(4, 0xffffffff)],
      ["a value beyond the end", changed(8, 0xffffffff)],
      ["sizes that overflow together", changed(4, 0xfffffffe)],
      ["a last value that is a byte too long", changed(4 + 2 * 8 + 4, "application/json".length + 1)],
      ["a map that is cut", good.subarray(0, -1)],
    ])("%s", (_name, bytes) => {
      // Where it lands, the head of a good request has been before.
      const raw = reading(build);
      raw.call.proxy_on_context_create!(STREAM + 1, ROOT);
      raw.give.headers = { bytes };
      expect(raw.call.proxy_on_request_headers!(STREAM + 1, POST.length, 0)).toBe(HOLD_HEADERS);
      expect(raw.replies.map(({ details }) => details)).toEqual(["mcp_guard.internal"]);
    });
  });

  test("two content types are refused, whichever is the right one", () => {
    for (const types of [
      ["application/json", "text/plain"],
      ["text/plain", "application/json"],
      ["application/json", "application/json"],
    ]) {
      const raw = configured(build);
      raw.call.proxy_on_context_create!(STREAM, ROOT);
      const pairs = [...POST.slice(0, 2), ...types.map((type) => ["content-type", type] as const)];
      raw.give.headers = { bytes: encodeHeaders(pairs) };
      expect(raw.call.proxy_on_request_headers!(STREAM, pairs.length, 0)).toBe(HOLD_HEADERS);
      expect(raw.replies.map(({ details }) => details)).toEqual(["mcp_guard.content_type"]);
    }
  });

  test("nothing of one request's head is taken for the next one's", () => {
    const raw = startRaw(build);
    raw.call.proxy_on_context_create!(ROOT, 0);
    raw.call.proxy_on_vm_start!(ROOT, 0);
    raw.give.buffer = { bytes: Buffer.from('{"tool_allowlist":[],"unguarded":[{"methods":["POST"],"path":"/free"}]}') };
    expect(raw.call.proxy_on_configure!(ROOT, raw.give.buffer.bytes.length)).toBe(1);
    // The same bytes at the same places, but the second time the path is another header's value.
    for (const [name, action] of [
      [":path", 0],
      [":xath", HOLD_HEADERS],
    ] as const) {
      const pairs = [
        [":method", "POST"],
        [name, "/free"],
      ] as const;
      raw.call.proxy_on_context_create!(STREAM, ROOT);
      raw.give.headers = { bytes: encodeHeaders(pairs) };
      expect(raw.call.proxy_on_request_headers!(STREAM, pairs.length, 0)).toBe(action);
      raw.call.proxy_on_delete!(STREAM);
    }
    expect(raw.replies.map(({ details }) => details)).toEqual(["mcp_guard.content_type"]);
  });

  test("a direction that is not eight bytes is none", () => {
    for (const bytes of [Buffer.of(2), Buffer.of(2, 0, 0, 0), Buffer.of(2, 0, 0, 0, 0, 0, 0, 0, 0), Buffer.alloc(0)]) {
      const raw = configured(build);
      raw.call.proxy_on_context_create!(STREAM, ROOT);
      raw.give.headers = { bytes: encodeHeaders(POST) };
      raw.give.property = { bytes };
      raw.call.proxy_on_request_headers!(STREAM, POST.length, 0);
      raw.give.buffer = { bytes: Buffer.from("[]") };
      expect(raw.call.proxy_on_request_body!(STREAM, 2, 1)).toBe(HOLD_BODY);
    }
  });

  test("names are hashed under the host's random numbers", () => {
    const hash = Buffer.alloc(8);
    hash.writeBigUInt64LE(sipHash13(Buffer.from("safe"), 0, RANDOM.readBigUInt64LE(0), RANDOM.readBigUInt64LE(8)));
    expect(configured(build).memory().includes(hash)).toBe(true);
  });

  test("the allocator gives no block for a result beyond its bound", () => {
    const { proxy_on_memory_allocate: allocate } = configured(build).call;
    expect([allocate!((16 << 20) + 1), allocate!(0x7fffffff), allocate!(0xffffffff)]).toEqual([0, 0, 0]);
    expect(allocate!(16 << 20)).toBeGreaterThan(0);
    expect(allocate!(1)).toBeGreaterThan(0);
  });
});
