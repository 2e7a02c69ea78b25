// An audit record as an event of the Open Cybersecurity Schema Framework: class API Activity of OCSF 1.6.0, with the profiles
// security_control and trace. What OCSF has no place for stays under `unmapped`, by its own name.
import { type AuditRecord, escapeUnits, hashOf } from "./record.ts";

/** The version of OCSF whose attributes are used. Each of them is in the later versions too. */
export const OCSF_VERSION = "1.6.0";

const CLASS_UID = 6003;
const CATEGORY_UID = 6;

/** An enumerated attribute: its number and its caption. */
type Enumerated = readonly [id: number, caption: string];

const READ: Enumerated = [2, "Read"];
const UNKNOWN: Enumerated = [0, "Unknown"];
const OTHER_ID = 99;

/** Methods that only read. A call of a tool may do anything, so it is none of the four activities that OCSF has for APIs. */
const READING: ReadonlySet<string> = new Set([
  "tools/list",
  "prompts/list",
  "prompts/get",
  "resources/list",
  "resources/templates/list",
  "resources/read",
  "completion/complete",
  "server/discover",
  "tasks/get",
  "tasks/list",
  "tasks/result",
]);

/** HTTP methods that OCSF knows; another one stays unmapped. */
const HTTP_METHODS: ReadonlySet<string> = new Set([
  "CONNECT",
  "DELETE",
  "GET",
  "HEAD",
  "OPTIONS",
  "PATCH",
  "POST",
  "PUT",
  "TRACE",
]);

/** Reasons that say more than that somebody asked for too much: the guard could not do its work, or a message was made to be read in two ways. */
const GRAVE: ReadonlySet<string> = new Set([
  "headers_mode",
  "stalled",
  "overloaded",
  "config_invalid",
  "internal",
  "uri_traversal",
  "near_name",
  "json_duplicate_member",
  "header_mismatch",
  "era_mixed",
  "http_upgrade",
]);

const INFORMATIONAL: Enumerated = [1, "Informational"];
const LOW: Enumerated = [2, "Low"];
const MEDIUM: Enumerated = [3, "Medium"];

/** What the guard did, as `action_id` and `disposition_id` of the profile security_control. */
const CONTROL: Readonly<Record<AuditRecord["mcp_guard.decision"], readonly [Enumerated, Enumerated]>> = {
  allow: [
    [1, "Allowed"],
    [1, "Allowed"],
  ],
  pass: [
    [1, "Allowed"],
    [1, "Allowed"],
  ],
  refuse: [
    [2, "Denied"],
    [2, "Blocked"],
  ],
  would_refuse: [
    [3, "Observed"],
    [15, "Detected"],
  ],
  not_read: [
    [3, "Observed"],
    [17, "Logged"],
  ],
  unguarded: [
    [1, "Allowed"],
    [16, "No Action"],
  ],
  outbound: [
    [1, "Allowed"],
    [16, "No Action"],
  ],
  none: [UNKNOWN, UNKNOWN],
};

/** A response of which something was taken out. */
const MODIFIED: readonly [Enumerated, Enumerated] = [
  [4, "Modified"],
  [11, "Corrected"],
];

/** The product that events name. */
export interface Product {
  readonly name: string;
  readonly version: string;
}

/** A record as an event. The text is the record's own; its hash is what the next record of the chain has. */
export function toOcsf(record: AuditRecord, text: string, product: Product): Record<string, unknown> {
  const unmapped: Record<string, unknown> = { ...record };
  /** A member that has a place in the event. */
  const take = <Name extends keyof AuditRecord & string>(name: Name): AuditRecord[Name] => {
    delete unmapped[name];
    return record[name];
  };
  take("mcp_guard.audit.version");
  const [activityId, activityName] = activityOf(record);
  const [severityId, severity] = severityOf(record);
  const [statusId, status] = statusOf(record);
  const [action, disposition] = controlOf(record);
  const reason = take("mcp_guard.reason");
  const traceId = take("trace_id");
  const event = present({
    class_uid: CLASS_UID,
    class_name: "API Activity",
    category_uid: CATEGORY_UID,
    category_name: "Application Activity",
    activity_id: activityId,
    activity_name: activityName,
    type_uid: CLASS_UID * 100 + activityId,
    type_name: `API Activity: ${activityId === OTHER_ID ? "Other" : activityName}`,
    severity_id: severityId,
    severity,
    status_id: statusId,
    status,
    status_code: record["rpc.response.status_code"] ?? record["http.response.status_code"]?.toString(),
    status_detail: reason,
    time: Date.parse(record.time),
    action_id: action[0],
    action: action[1],
    disposition_id: disposition[0],
    disposition: disposition[1],
    is_alert: severityId >= MEDIUM[0],
    policy: policyOf(take("mcp_guard.policy"), record["mcp_guard.mode"]),
    firewall_rule: nameOf(take("mcp_guard.rule")),
    actor: actorOf(record, take),
    src_endpoint:
      record["mcp_guard.workload"] === undefined ? { name: "unknown" } : { uid: take("mcp_guard.workload") },
    api: present({
      operation: operationOf(record),
      version: take("mcp.protocol.version"),
      service: { name: "mcp" },
      request: uidOf(take("jsonrpc.request.id")),
      response: orNothing({ code: numberOf(take("rpc.response.status_code")), error: take("error.type") }),
    }),
    resources: resourcesOf(take),
    http_request: orNothing({
      ...httpMethod(record, take),
      url: record["url.path"] === undefined ? undefined : { path: take("url.path") },
      uid: take("http.request.id"),
      body_length: take("http.request.body.size"),
    }),
    http_response: httpResponse(record, take),
    trace: uidOf(traceId),
    metadata: present({
      version: OCSF_VERSION,
      product: { name: product.name, vendor_name: product.name, version: product.version },
      profiles: ["security_control", "trace"],
      uid: take("event.id"),
      log_name: "wasm.mcp_audit",
      log_version: String(record["mcp_guard.audit.version"]),
      sequence: take("mcp_guard.chain.sequence"),
      original_time: take("time"),
      is_truncated: take("mcp_guard.truncated"),
    }),
    raw_data_hash: { algorithm: "SHA-256", algorithm_id: 3, value: hashOf(text) },
  });
  take("mcp.method.name");
  return Object.keys(unmapped).length === 0 ? event : { ...event, unmapped };
}

/** An event as one line of ASCII. */
export function writeOcsf(event: Readonly<Record<string, unknown>>): string {
  return JSON.stringify(event).replaceAll(/[^\x20-\x7e]/g, escapeUnits);
}

type Take = <Name extends keyof AuditRecord & string>(name: Name) => AuditRecord[Name];

function activityOf(record: AuditRecord): Enumerated {
  const method = record["mcp.method.name"];
  if (method !== undefined && READING.has(method)) return READ;
  const operation = operationOf(record);
  return operation === UNKNOWN[1] ? UNKNOWN : [OTHER_ID, operation];
}

/** The MCP method; of a message that was not read, the HTTP method. */
function operationOf(record: AuditRecord): string {
  return record["mcp.method.name"] || record["http.request.method"] || UNKNOWN[1];
}

function severityOf(record: AuditRecord): Enumerated {
  const reason = record["mcp_guard.reason"];
  if (reason === undefined) return INFORMATIONAL;
  return GRAVE.has(reason) ? MEDIUM : LOW;
}

/** Whether the client got what it asked for. */
function statusOf(record: AuditRecord): Enumerated {
  const status = record["http.response.status_code"];
  if (record["mcp_guard.decision"] === "refuse" || record["error.type"] !== undefined) return [2, "Failure"];
  if (status === undefined) return UNKNOWN;
  return status < 400 ? [1, "Success"] : [2, "Failure"];
}

function controlOf(record: AuditRecord): readonly [Enumerated, Enumerated] {
  const decision = record["mcp_guard.decision"];
  const taken = record["mcp_guard.response.removed"] ?? record["mcp_guard.response.hidden_characters"];
  const isModified = decision === "allow" && taken !== undefined && record["mcp_guard.mode"] === "enforce";
  return isModified ? MODIFIED : CONTROL[decision];
}

function policyOf(digest: string | undefined, mode: string | undefined): object | undefined {
  return digest === undefined ? undefined : { uid: digest, is_applied: mode === "enforce" };
}

/** Who asked. OCSF wants an actor in each event, so one that is not known is called so. */
function actorOf(record: AuditRecord, take: Take): object {
  const [nearest, ...further] = record["mcp_guard.user.act"] ?? [];
  // What is left of the chain has no place.
  if (further.length === 0) take("mcp_guard.user.act");
  const user = take("user.id");
  if (user === undefined) return { user: { name: "unknown", type_id: UNKNOWN[0], type: UNKNOWN[1] } };
  const source = take("mcp_guard.user.source");
  const issuer = take("mcp_guard.user.issuer");
  const [typeId, type]: Enumerated = source === "peer" ? [4, "Service"] : [1, "User"];
  return present({
    user: present({ uid: user, type_id: typeId, type, domain: source === "peer" ? issuer : undefined }),
    idp: source === "peer" ? undefined : { uid: issuer, issuer },
    app_uid: nearest,
  });
}

function resourcesOf(take: Take): object[] | undefined {
  const target = { role_id: 1, role: "Target" };
  const tool = take("gen_ai.tool.name");
  const prompt = take("gen_ai.prompt.name");
  const uri = take("mcp.resource.uri");
  const resources = [
    ...(tool === undefined ? [] : [{ name: tool, type: "tool", ...target }]),
    ...(prompt === undefined ? [] : [{ name: prompt, type: "prompt", ...target }]),
    ...(uri === undefined ? [] : [{ uid: uri, type: "resource", ...target }]),
  ];
  return resources.length === 0 ? undefined : resources;
}

function httpMethod(record: AuditRecord, take: Take): object {
  const method = record["http.request.method"];
  return method !== undefined && HTTP_METHODS.has(method) ? { http_method: take("http.request.method") } : {};
}

function httpResponse(record: AuditRecord, take: Take): object | undefined {
  const microseconds = record["mcp_guard.duration.server_us"];
  if (record["http.response.status_code"] === undefined) return undefined;
  return present({
    code: take("http.response.status_code"),
    body_length: take("http.response.body.size"),
    latency: microseconds === undefined ? undefined : Math.round(microseconds / 1000),
  });
}

function uidOf(uid: string | undefined): object | undefined {
  return uid === undefined ? undefined : { uid };
}

function nameOf(name: string | undefined): object | undefined {
  return name === undefined ? undefined : { name };
}

function numberOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text);
}

/** Without the attributes that are not known. */
function present(attributes: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined));
}

/** The same; nothing at all when none is known. */
function orNothing(attributes: Record<string, unknown>): object | undefined {
  const known = present(attributes);
  return Object.keys(known).length === 0 ? undefined : known;
}
