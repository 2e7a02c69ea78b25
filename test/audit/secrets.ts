// What clients and servers may send and nobody may find in a record, a log line or a name of a metric: the same text wherever a secret can stand.

/** The secret. */
export const CANARY = "c4n4ry";

/** Header fields of a request. */
export const SECRET_HEADERS: readonly (readonly [string, string])[] = [
  ...["authorization", "cookie", "mcp-session-id", "x-api-key", "proxy-authorization", "last-event-id", "referer"],
  ...["baggage", "tracestate", "x-forwarded-client-cert", "x-forwarded-for"],
].map((name) => [name, CANARY]);

const message = (method: string, params: object): string => JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
const PARAMS = {
  arguments: { password: CANARY, [CANARY]: CANARY },
  _meta: { token: CANARY, progressToken: CANARY, [`${CANARY}/x`]: CANARY },
  requestState: CANARY,
  inputResponses: { [CANARY]: { action: "accept", content: { secret: CANARY } } },
  cursor: CANARY,
};

/** Bodies of requests, some of which no policy lets pass. The tool `safe` and the prompt `review` are there to be listed. */
export const SECRET_BODIES: readonly string[] = [
  message("tools/call", { name: "safe", ...PARAMS }),
  message("tools/call", { name: "evil", ...PARAMS }),
  message("prompts/get", { name: "review", ...PARAMS }),
  message("resources/read", { uri: `https://u:${CANARY}@h/p?token=${CANARY}#${CANARY}` }),
  message("resources/read", { uri: `file://u:${CANARY}@/srv/a?token=${CANARY}` }),
  message("completion/complete", {
    ref: { type: "ref/prompt", name: "review" },
    argument: { name: CANARY, value: CANARY },
    context: { arguments: { a: CANARY } },
  }),
  message("logging/setLevel", { level: CANARY }),
  // What a human has answered.
  JSON.stringify({ jsonrpc: "2.0", id: 1, result: { action: "accept", content: { secret: CANARY } } }),
  JSON.stringify({ jsonrpc: "2.0", id: 1, error: { code: 1, message: CANARY, data: CANARY } }),
  `{"${CANARY}":"${CANARY}",}`,
  CANARY,
];

/** Bodies of responses. */
export const SECRET_ANSWERS: readonly string[] = [
  { result: { content: [{ type: "text", text: CANARY }], requestState: CANARY } },
  { error: { code: -1, message: CANARY, data: CANARY } },
  { result: { tools: [{ name: CANARY, description: CANARY }] } },
  { id: 9, method: "elicitation/create", params: { message: CANARY, requestedSchema: { title: CANARY } } },
].map((members) => JSON.stringify({ jsonrpc: "2.0", id: 1, ...members }));
