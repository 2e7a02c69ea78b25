// src/audit/ocsf.ts. Goal: each record is an event that OCSF 1.6.0 knows in every attribute, and no member is lost. Method: the attributes and required
// attributes of the classes and objects as the schema of OCSF has them, and records of every decision.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { toOcsf, writeOcsf } from "../../src/audit/ocsf.ts";
import { type AuditRecord, DECISIONS, hashOf, isRecord } from "../../src/audit/record.ts";
import { type Members, Recorder, toolCall, user } from "./generator.ts";

const PRODUCT = { name: "mcp-guard-filter", version: "0.1.0" };

type Json = Record<string, unknown>;

function convert(members: Members): Json {
  const text = new Recorder("one").next(members);
  const value: Json = JSON.parse(text);
  expect(isRecord(value), text).toBe(true);
  return JSON.parse(writeOcsf(toOcsf(value as AuditRecord, text, PRODUCT))) as Json;
}

test("a refused call", () => {
  const members = {
    ...toolCall("system_exec"),
    ...user("alice"),
    "mcp_guard.user.act": ["agent-1"],
    "mcp_guard.decision": "refuse",
    "mcp_guard.reason": "tool_not_listed",
    "mcp_guard.rule": "tool_allowlist",
    trace_id: "a".repeat(32),
    "jsonrpc.request.id": "7",
    "rpc.response.status_code": "-32602",
    "error.type": "tool_not_listed",
  };
  const { id } = new Recorder("one");
  expect(convert(members)).toEqual({
    class_uid: 6003,
    class_name: "API Activity",
    category_uid: 6,
    category_name: "Application Activity",
    activity_id: 99,
    activity_name: "tools/call",
    type_uid: 600399,
    type_name: "API Activity: Other",
    severity_id: 2,
    severity: "Low",
    status_id: 2,
    status: "Failure",
    status_code: "-32602",
    status_detail: "tool_not_listed",
    time: 1793577601000,
    action_id: 2,
    action: "Denied",
    disposition_id: 2,
    disposition: "Blocked",
    is_alert: false,
    policy: { uid: "14812d9cda18fb51", is_applied: true },
    firewall_rule: { name: "tool_allowlist" },
    actor: {
      user: { uid: "alice", type_id: 1, type: "User" },
      idp: { uid: "https://issuer.example", issuer: "https://issuer.example" },
      app_uid: "agent-1",
    },
    src_endpoint: { name: "unknown" },
    api: {
      operation: "tools/call",
      service: { name: "mcp" },
      request: { uid: "7" },
      response: { code: -32602, error: "tool_not_listed" },
    },
    resources: [{ name: "system_exec", type: "tool", role_id: 1, role: "Target" }],
    http_request: { http_method: "POST", url: { path: "/mcp" }, body_length: 120 },
    http_response: { code: 200, body_length: 400, latency: 2 },
    trace: { uid: "a".repeat(32) },
    metadata: {
      version: "1.6.0",
      product: { name: "mcp-guard-filter", vendor_name: "mcp-guard-filter", version: "0.1.0" },
      profiles: ["security_control", "trace"],
      uid: `${id}.1`,
      log_name: "wasm.mcp_audit",
      log_version: "1",
      sequence: 1,
      original_time: "2026-11-02T00:00:01.000000Z",
    },
    raw_data_hash: { algorithm: "SHA-256", algorithm_id: 3, value: hashOf(new Recorder("one").next(members)) },
    unmapped: {
      "mcp_guard.chain.id": id,
      "mcp_guard.chain.previous": "0".repeat(64),
      "mcp_guard.mode": "enforce",
      "mcp_guard.decision": "refuse",
      "gen_ai.operation.name": "execute_tool",
      "mcp_guard.duration.guard_us": 85,
      "mcp_guard.duration.server_us": 2300,
      "mcp_guard.duration.total_us": 2900,
    },
  });
});

describe("what the guard did", () => {
  const refusal = { "mcp_guard.reason": "tool_not_listed" };
  test.each([
    ["allow", {}, 1, 1, 1, 1],
    ["pass", {}, 1, 1, 1, 1],
    ["refuse", refusal, 2, 2, 2, 2],
    ["refuse", { "mcp_guard.reason": "uri_traversal" }, 2, 2, 3, 2],
    ["would_refuse", refusal, 3, 15, 2, 1],
    ["not_read", { "mcp_guard.reason": "body_too_large" }, 3, 17, 2, 1],
    ["unguarded", {}, 1, 16, 1, 1],
    ["outbound", {}, 1, 16, 1, 1],
    ["none", {}, 0, 0, 1, 1],
    ["allow", { "mcp_guard.response.removed": 2 }, 4, 11, 1, 1],
    ["allow", { "mcp_guard.response.removed": 2, "mcp_guard.mode": "monitor" }, 1, 1, 1, 1],
    ["allow", { "http.response.status_code": 502 }, 1, 1, 1, 2],
    ["allow", { "error.type": "tool_error" }, 1, 1, 1, 2],
    ["allow", { "http.response.status_code": undefined, "mcp_guard.ended": "unknown" }, 1, 1, 1, 0],
  ])("%s %j", (decision, members, action, disposition, severity, status) => {
    expect(convert({ "mcp_guard.decision": decision, ...members })).toMatchObject({
      action_id: action,
      disposition_id: disposition,
      severity_id: severity,
      status_id: status,
      is_alert: severity >= 3,
    });
  });
});

describe("the activity", () => {
  test.each([
    [{ "mcp.method.name": "resources/read" }, 2, "Read", "resources/read"],
    [{ "mcp.method.name": "vendor/x" }, 99, "vendor/x", "vendor/x"],
    [{ "http.request.method": "GET" }, 99, "GET", "GET"],
    [{ "http.request.method": undefined }, 0, "Unknown", "Unknown"],
  ])("of %j", (members, id, name, operation) => {
    const event = convert(members);
    expect(event).toMatchObject({ activity_id: id, activity_name: name, type_uid: 600300 + id, api: { operation } });
  });
});

test("a workload is a service, and its trust domain no identity provider", () => {
  const spiffe = "spiffe://example.org/ns/ai/sa/agent";
  const members = {
    ...user(spiffe, "example.org"),
    "mcp_guard.user.source": "peer",
    "mcp_guard.workload": spiffe,
    "mcp_guard.user.act": ["a", "b"],
  };
  expect(convert(members)).toMatchObject({
    actor: { user: { uid: spiffe, type_id: 4, type: "Service", domain: "example.org" }, app_uid: "a" },
    src_endpoint: { uid: spiffe },
    unmapped: { "mcp_guard.user.act": ["a", "b"] },
  });
});

test("an HTTP method that OCSF does not know stays unmapped", () => {
  const event = convert({ "http.request.method": "BREW" });
  expect(event.http_request).not.toHaveProperty("http_method");
  expect(event).toMatchObject({ activity_id: 99, activity_name: "BREW", unmapped: { "http.request.method": "BREW" } });
});

/** The attributes that the code may use, by object, and those that must be there: OCSF 1.6.0, events/ and objects/. A star: any value. */
const OBJECTS: Readonly<Record<string, { required: readonly string[]; attributes: Readonly<Record<string, string>> }>> =
  {
    api_activity: {
      required: ["activity_id", "category_uid", "class_uid", "metadata", "severity_id", "time", "type_uid"].concat([
        "actor",
        "api",
        "src_endpoint",
      ]),
      attributes: {
        class_uid: "integer",
        class_name: "string",
        category_uid: "integer",
        category_name: "string",
        activity_id: "integer",
        activity_name: "string",
        type_uid: "integer",
        type_name: "string",
        severity_id: "integer",
        severity: "string",
        status_id: "integer",
        status: "string",
        status_code: "string",
        status_detail: "string",
        time: "integer",
        action_id: "integer",
        action: "string",
        disposition_id: "integer",
        disposition: "string",
        is_alert: "boolean",
        policy: "policy",
        firewall_rule: "firewall_rule",
        actor: "actor",
        src_endpoint: "network_endpoint",
        api: "api",
        resources: "resource_details[]",
        http_request: "http_request",
        http_response: "http_response",
        trace: "trace",
        metadata: "metadata",
        raw_data_hash: "fingerprint",
        unmapped: "*",
      },
    },
    policy: { required: ["uid"], attributes: { uid: "string", is_applied: "boolean" } },
    firewall_rule: { required: ["name"], attributes: { name: "string" } },
    actor: { required: ["user"], attributes: { user: "user", idp: "idp", app_uid: "string" } },
    user: {
      required: [],
      attributes: { uid: "string", name: "string", type_id: "integer", type: "string", domain: "string" },
    },
    idp: { required: ["uid"], attributes: { uid: "string", issuer: "string" } },
    network_endpoint: { required: [], attributes: { uid: "string", name: "string" } },
    api: {
      required: ["operation"],
      attributes: {
        operation: "string",
        version: "string",
        service: "service",
        request: "request",
        response: "response",
      },
    },
    service: { required: ["name"], attributes: { name: "string" } },
    request: { required: ["uid"], attributes: { uid: "string" } },
    response: { required: [], attributes: { code: "integer", error: "string" } },
    resource_details: {
      required: [],
      attributes: { name: "string", uid: "string", type: "string", role_id: "integer", role: "string" },
    },
    http_request: {
      required: [],
      attributes: { http_method: "string", url: "url", uid: "string", body_length: "integer" },
    },
    url: { required: ["path"], attributes: { path: "string" } },
    http_response: { required: ["code"], attributes: { code: "integer", body_length: "integer", latency: "integer" } },
    trace: { required: ["uid"], attributes: { uid: "string" } },
    metadata: {
      required: ["version", "product"],
      attributes: {
        version: "string",
        product: "product",
        profiles: "string[]",
        uid: "string",
        log_name: "string",
        log_version: "string",
        sequence: "integer",
        original_time: "string",
        is_truncated: "boolean",
      },
    },
    product: { required: ["name"], attributes: { name: "string", vendor_name: "string", version: "string" } },
    fingerprint: {
      required: ["algorithm_id", "value"],
      attributes: { algorithm: "string", algorithm_id: "integer", value: "string" },
    },
  };

function complaintsOf(value: unknown, type: string, place: string): string[] {
  if (type === "*") return [];
  if (type.endsWith("[]")) {
    if (!Array.isArray(value)) return [`${place} is no list`];
    return value.flatMap((item, index) => complaintsOf(item, type.slice(0, -2), `${place}[${index}]`));
  }
  if (type === "integer") return Number.isInteger(value) ? [] : [`${place} is no integer`];
  const object = OBJECTS[type];
  if (object === undefined) return typeof value === type ? [] : [`${place} is no ${type}`];
  const members = value as Json;
  return [
    ...object.required.filter((name) => !(name in members)).map((name) => `${place} lacks ${name}`),
    ...Object.entries(members).flatMap(([name, inner]) => {
      const known = object.attributes[name];
      return known === undefined ? [`${place}.${name} is unknown`] : complaintsOf(inner, known, `${place}.${name}`);
    }),
  ];
}

/** Each of them may be there or not. */
const OPTIONAL: Members = {
  "mcp_guard.policy": "14812d9cda18fb51",
  "http.request.method": "POST",
  "url.path": "/m\u202ecp",
  "http.request.id": "r",
  trace_id: "a".repeat(32),
  "mcp_guard.user.act": ["x", "y"],
  "mcp_guard.workload": "spiffe://a/b",
  "mcp.method.name": "tools/call",
  "mcp_guard.era": "modern",
  "mcp.protocol.version": "2026-07-28",
  "jsonrpc.request.id": "1",
  "gen_ai.tool.name": "a\nb",
  "gen_ai.prompt.name": "p",
  "mcp.resource.uri": "file:///a",
  "mcp_guard.arguments.sha256": "b".repeat(64),
  "http.response.status_code": 200,
  "rpc.response.status_code": "-32602",
  "error.type": "tool_error",
  "mcp_guard.response.removed": 1,
  "mcp_guard.duration.server_us": 7,
  "mcp_guard.truncated": true,
};

test("every record becomes an event that the schema knows, and nothing of it is lost", () => {
  const members = fc.subarray(Object.keys(OPTIONAL)).map((names) => {
    const left = Object.keys(OPTIONAL).filter((name) => !names.includes(name));
    return Object.fromEntries([
      ...names.map((name) => [name, OPTIONAL[name]]),
      ...left.map((name) => [name, undefined]),
    ]);
  });
  fc.assert(
    fc.property(
      members,
      fc.constantFrom(...DECISIONS),
      fc.constantFrom("jwt", "header", "peer", "none"),
      (chosen, decision, source) => {
        const hasReason = ["refuse", "would_refuse", "not_read"].includes(decision);
        const event = convert({
          ...chosen,
          "mcp_guard.mode": chosen["mcp_guard.policy"] === undefined ? undefined : "enforce",
          "mcp_guard.decision": decision,
          "mcp_guard.reason": hasReason ? "batch" : undefined,
          "mcp_guard.ended": "unknown",
          ...(source === "none" ? {} : { ...user("alice"), "mcp_guard.user.source": source }),
        });
        expect(complaintsOf(event, "api_activity", "event")).toEqual([]);
        // Every text of the record stands somewhere.
        const values = JSON.stringify(event);
        for (const value of Object.values(chosen)) {
          if (typeof value === "string") expect(values).toContain(JSON.stringify(value).slice(1, -1));
        }
        expect(values).toContain(`"mcp_guard.decision":"${decision}"`);
      },
    ),
  );
});

test("an event is a line of ASCII", () => {
  const text = new Recorder("one").next({ "gen_ai.tool.name": "\u202e\né\u{1f600}\u007f" });
  const line = writeOcsf(toOcsf(JSON.parse(text) as AuditRecord, text, PRODUCT));
  expect(line).toMatch(/^[\x20-\x7e]+$/);
  expect((JSON.parse(line) as { resources: Json[] }).resources[0]?.name).toBe("\u202e\né\u{1f600}\u007f");
});
